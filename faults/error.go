package faults

import (
	"cmp"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/anypb"
)

// Error answers with a code, a message and perhaps a detail. It ends the call.
const Error Kind = "error"

type errorKind struct{ plain }

func (errorKind) kind() Kind { return Error }

func (errorKind) read(a *Action, args *arguments) *RuleError { return readError(a, args) }

func readError(a *Action, args *arguments) *RuleError {
	w, err := args.need(`a code, as in error(unavailable, "try later")`)
	if err != nil {
		return err
	}
	if a.Code.UnmarshalText([]byte(w.text)) != nil || a.Code.String() != w.text {
		return at(w.column, "code %q is unknown%s", w.text, didYouMean(w.text, codeNames()))
	}
	if message, found := args.take(""); found {
		a.Message = message.text
	}
	detail, found := args.take("detail")
	if !found {
		return nil
	}
	name, encoded, _ := strings.Cut(detail.text, ":")
	value, decodeErr := base64.RawStdEncoding.DecodeString(strings.TrimRight(encoded, "="))
	if decodeErr != nil || name == "" {
		return at(detail.column, "detail %s is not type:base64; write detail=acme.v1.Info and the message in base64 behind a colon", strconv.Quote(detail.text))
	}
	a.Detail = Detail{Type: name, Value: string(value)}
	return nil
}

func codeNames() []string {
	var names []string
	for code := connect.CodeCanceled; code <= connect.CodeUnauthenticated; code++ {
		names = append(names, code.String())
	}
	return names
}

func (errorKind) print(a Action, args *printed) {
	args.add(a.Code.String())
	if a.Message != "" {
		args.add(strconv.Quote(a.Message))
	}
	if a.Detail != (Detail{}) {
		args.named("detail", a.Detail.Type+":"+base64.RawStdEncoding.EncodeToString([]byte(a.Detail.Value)))
	}
}

func (errorKind) keep(own *Action, a Action) {
	own.Code, own.Message, own.Detail = a.Code, a.Message, a.Detail
}

func (errorKind) check(a Action) *RuleError {
	if a.Code < connect.CodeCanceled || a.Code > connect.CodeUnauthenticated {
		return a.wrong("code %d is unknown; use one as connect.CodeUnavailable", a.Code)
	}
	return nil
}

func (errorKind) act(m *meeting) {
	m.outcome.ending, m.outcome.err = failed, m.action.connectError(m.occasion.state.rule.ID)
}

func (errorKind) atConnection(r *Rule, opens bool) *RuleError {
	a := r.Action
	switch {
	case !opens || r.Phase != RequestInFlight:
		return never("a connection can be refused when it is asked for, and has no errors later; use phase=%s or %s", RequestInFlight, Reset)
	case a.Code != connect.CodeUnavailable || a.Message != "" || a.Detail != (Detail{}):
		return never("a connection that is refused says nothing but that; write %s(%s)", Error, connect.CodeUnavailable)
	}
	return nil
}

func (errorKind) pass(m *meeting) { m.refuse() }

func (a Action) connectError(rule string) *connect.Error {
	message := cmp.Or(a.Message, "injected by "+rule)
	err := connect.NewError(a.Code, errors.New(message))
	if a.Detail.Type != "" {
		// Made of an Any, a detail needs nothing to be known of its type.
		detail, detailErr := connect.NewErrorDetail(&anypb.Any{
			TypeUrl: "type.googleapis.com/" + a.Detail.Type, Value: []byte(a.Detail.Value),
		})
		if detailErr == nil {
			err.AddDetail(detail)
		}
	}
	return err
}
