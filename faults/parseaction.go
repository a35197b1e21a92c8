package faults

import (
	"encoding/base64"
	"math"
	"slices"
	"strconv"
	"strings"

	"connectrpc.com/connect"
)

// An argument is what an action has in parentheses, such as 5s or host=worker-1.
type argument struct {
	name  string // empty: it is known by its place
	value word
}

// arguments are those of one action. What is taken is gone.
type arguments struct {
	kind word
	list []argument
}

// action reads the arguments of an action and what they mean.
func (p *parser) action(kind word) (Action, *RuleError) {
	a := Action{Kind: Kind(kind.text)}
	args := &arguments{kind: kind}
	if p.accept('(') {
		if err := p.arguments(args); err != nil {
			return a, err
		}
	}
	if !slices.Contains(kinds, a.Kind) {
		return a, at(kind.column, "action %q is unknown%s", kind.text, didYouMean(kind.text, kinds))
	}
	if err := readAction(&a, args); err != nil {
		return a, err
	}
	if len(args.list) > 0 {
		left := args.list[0]
		if left.name != "" {
			return a, at(left.value.column, "%s takes no %s=", a.Kind, left.name)
		}
		return a, at(left.value.column, "%s has no use for %q; take it out", a.Kind, left.value.text)
	}
	return a, nil
}

func (p *parser) arguments(args *arguments) *RuleError {
	for {
		value, err := p.word("an argument")
		if err != nil {
			return err
		}
		arg := argument{value: value}
		if p.accept('=') {
			arg.name = value.text
			if arg.value, err = p.word("the value of " + arg.name); err != nil {
				return err
			}
		}
		args.list = append(args.list, arg)
		switch {
		case p.accept(')'):
			return nil
		case !p.accept(','):
			return at(p.column(), "found %s in place of , or ) behind %q", p.found(), arg.value.text)
		}
	}
}

// take returns an argument by its name, or the next without one.
func (args *arguments) take(name string) (word, bool) {
	i := slices.IndexFunc(args.list, func(arg argument) bool { return arg.name == name })
	if i < 0 {
		return word{}, false
	}
	value := args.list[i].value
	args.list = slices.Delete(args.list, i, i+1)
	return value, true
}

// need is take for what an action cannot do without.
func (args *arguments) need(what string) (word, *RuleError) {
	value, found := args.take("")
	if !found {
		return word{}, at(args.kind.column, "%s needs %s", args.kind.text, what)
	}
	return value, nil
}

// readAction takes what the action's kind knows.
func readAction(a *Action, args *arguments) (err *RuleError) {
	switch a.Kind {
	case Delay:
		a.Latency, err = readLatency(args)
	case Error:
		err = readError(a, args)
	case Duplicate:
		if w, found := args.take("copies"); found {
			if a.Copies, err = parseCount("copies", w, math.MaxInt32); err != nil {
				return err
			}
		}
		if w, found := args.take("later"); found {
			a.Wait, err = parseDuration(w)
		}
	case Reorder:
		var w word
		if w, err = args.need("the longest that it may hold something back, as in reorder(100ms)"); err == nil {
			a.Wait, err = parseDuration(w)
		}
	case Truncate, Reset:
		if w, found := args.take(""); found {
			a.Bytes, err = parseBytes(w)
		}
	case Throttle:
		var w word
		if w, err = args.need("a rate, as in throttle(64KiB/s)"); err == nil {
			rate, perSecond := strings.CutSuffix(w.text, "/s")
			if !perSecond {
				return at(w.column, "%q is no rate; write bytes a second, like 64KiB/s", w.text)
			}
			a.Rate, err = parseBytes(word{rate, w.column})
		}
	case Partition:
		if w, found := args.take(""); found {
			if a.OneWay = w.text == oneWay; !a.OneWay {
				return at(w.column, "%q is no way to part; use %s, or nothing for both ways; hosts are named by from= and to=", w.text, oneWay)
			}
		}
	case Release:
		var w word
		w, err = args.need("the id of the rule whose hold ends, as in release(stuck)")
		a.Target = w.text
	case Pause, Restart:
		if w, found := args.take(""); found {
			if a.Wait, err = parseDuration(w); err != nil {
				return err
			}
		}
		a.Target = args.host()
	case Crash:
		a.Target = args.host()
	}
	return err
}

func (args *arguments) host() string {
	host, _ := args.take("host")
	return host.text
}

func readLatency(args *arguments) (l Latency, err *RuleError) {
	l.Distribution = FixedLatency
	w, err := args.need("how long, as in delay(50ms) or delay(uniform, 10ms, 90ms)")
	if err != nil {
		return l, err
	}
	if w.text != "" && 'a' <= w.text[0]|0x20 && w.text[0]|0x20 <= 'z' {
		l.Distribution = Distribution(w.text)
		if !slices.Contains(distributions, l.Distribution) {
			return l, at(w.column, "distribution %q is unknown%s", w.text, didYouMean(w.text, distributions))
		}
		if w, err = args.need("a duration behind " + w.text); err != nil {
			return l, err
		}
	}
	if l.Low, err = parseDuration(w); err != nil {
		return l, err
	}
	if l.Distribution == UniformLatency || l.Distribution == NormalLatency {
		if w, err = args.need("a second duration for " + string(l.Distribution)); err == nil {
			l.High, err = parseDuration(w)
		}
	}
	return l, err
}

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
