package main

import (
	"fmt"
	"net/http"
	"os"
	"strings"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/faults"
)

// Modes of adapters.
const (
	adaptersOff    = "off"    // there are none
	adaptersIdle   = "idle"   // rules match everywhere, and never act
	adaptersActing = "acting" // rules act everywhere, and change nothing
)

// adapters are those of package faults, around connect-go on both of its sides.
type adapters struct {
	mode     string
	injector *faults.Injector // nil: there are none
}

func newAdapters(mode string) (*adapters, error) {
	a := &adapters{mode: mode}
	var text string
	switch mode {
	case adaptersOff:
		return a, nil
	case adaptersIdle:
		text = everywhere("drop", "nth=1000000000") +
			"turn: reorder(1s) side=client phase=request-before-send message=* nth=1000000000\n" +
			"turn-answer: reorder(1s) side=server phase=after-handler message=* nth=1000000000\n" +
			"gone: drop side=client procedure=/other/*\n" +
			"late: reset phase=response-in-flight event=never\n"
	case adaptersActing:
		text = everywhere("delay(1ns)", "") +
			"cut: truncate(1GiB) phase=request-in-flight\n" +
			"break: reset(1GiB) phase=response-in-flight\n" +
			"slow: throttle(64GiB/s) phase=request-in-flight\n" +
			"slow-answer: throttle(64GiB/s) phase=response-in-flight\n"
	default:
		return nil, fmt.Errorf("adapters %q: not one of %s, %s, %s", mode, adaptersOff, adaptersIdle, adaptersActing)
	}
	plan, err := faults.ParsePlan(text)
	if err != nil {
		return nil, err
	}
	a.injector = faults.New(faults.Config{})
	return a, a.injector.Apply(plan)
}

// everywhere returns a rule for each point of a call that package faults knows.
func everywhere(action, clauses string) string {
	var text strings.Builder
	for _, point := range []string{
		"side=client phase=request-before-send", "side=client phase=request-before-send message=*",
		"side=client phase=response-in-flight", "side=client phase=response-in-flight message=*",
		"side=network phase=request-in-flight", "side=network phase=response-in-flight",
		"side=server phase=before-handler", "side=server phase=before-handler message=*",
		"side=server phase=after-handler", "side=server phase=after-handler message=*",
	} {
		id := strings.NewReplacer("side=", "", " phase=", ".", " message=*", ".message").Replace(point)
		fmt.Fprintf(&text, "%s: %s %s %s\n", id, action, point, clauses)
	}
	return text.String()
}

// interceptor returns the adapter that is between connect-go and its callers or handlers.
func (a *adapters) interceptor(host string) connect.Option {
	if a.injector == nil {
		return connect.WithInterceptors()
	}
	return connect.WithInterceptors(a.injector.Interceptor(host))
}

// transport and handler return the adapters that are between connect-go and the network.
func (a *adapters) transport(next http.RoundTripper, host string) http.RoundTripper {
	if a.injector == nil {
		return next
	}
	return a.injector.RoundTripper(next, host)
}

func (a *adapters) handler(next http.Handler, host string) http.Handler {
	if a.injector == nil {
		return next
	}
	return a.injector.Handler(next, host)
}

func (a *adapters) close() {
	if a.injector != nil {
		a.injector.Close()
	}
}

// tell adds to a file a line for each rule: who has it, its name, how often it matched and acted.
func (a *adapters) tell(role, file string) error {
	if a.injector == nil || file == "" {
		return nil
	}
	var lines strings.Builder
	for _, rule := range a.injector.Status().Rules {
		fmt.Fprintf(&lines, "%s %s %d %d\n", role, rule.Rule.ID, rule.Matched, rule.Fired)
	}
	out, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	_, err = out.WriteString(lines.String())
	return err
}
