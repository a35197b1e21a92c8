package faults

import (
	"strconv"
	"strings"
	"time"

	"github.com/frayrpc/fray/internal/number"
)

// String returns the rule as the one line that [ParseRule] reads.
func (r Rule) String() string {
	return printRule(r.normal())
}

func printRule(r Rule) string {
	p := &printer{}
	p.WriteString(r.ID)
	p.WriteString(": ")
	p.WriteString(r.Action.String())
	if r.Side != r.Phase.Side() && (r.Side != Network || r.Phase != "") {
		p.clause(fieldSide, string(r.Side))
	}
	p.clause(fieldPhase, string(r.Phase))
	switch r.Message {
	case 0:
	case EveryMessage:
		p.clause(fieldMessage, "*")
	default:
		p.clause(fieldMessage, strconv.Itoa(r.Message))
	}
	p.clause(fieldProcedure, r.Procedure)
	p.clause(fieldFrom, strings.Join(r.From, "|"))
	p.clause(fieldTo, strings.Join(r.To, "|"))
	for _, h := range r.Headers {
		p.clause(fieldHeader, h.Name+":"+h.Value)
	}
	if r.Probability != 0 {
		p.clause(fieldProbability, strconv.FormatFloat(r.Probability, 'g', -1, 64))
	}
	p.count(fieldAfter, r.After)
	p.count(fieldNth, r.Nth)
	p.count(fieldEvery, r.Every)
	p.count(fieldFirst, r.First)
	if r.Window != (Window{}) {
		p.clause(fieldWindow, r.Window.String())
	}
	p.clause(fieldEvent, r.Event)
	return p.String()
}

type printer struct{ strings.Builder }

func (p *printer) clause(name, value string) {
	if value != "" {
		p.WriteByte(' ')
		p.WriteString(name)
		p.WriteByte('=')
		p.WriteString(quoteWord(value))
	}
}

func (p *printer) count(name string, n uint64) {
	if n > 0 {
		p.clause(name, strconv.FormatUint(n, 10))
	}
}

// String returns the window as from..until, with nothing for an end that is open.
func (w Window) String() string {
	var from, until string
	if w.From != 0 {
		from = number.FormatDuration(w.From)
	}
	if w.Until != 0 {
		until = number.FormatDuration(w.Until)
	}
	return from + ".." + until
}

// String returns the action as a rule has it.
func (a Action) String() string {
	return printAction(a.normal())
}

func printAction(a Action) string {
	var args printed
	if b := behaviourOf(a.Kind); b != nil {
		b.print(a, &args)
	}
	if len(args) == 0 {
		return string(a.Kind)
	}
	return string(a.Kind) + "(" + strings.Join(args, ", ") + ")"
}

// printed are the arguments of an action as text.
type printed []string

func (p *printed) add(arg string) { *p = append(*p, arg) }

func (p *printed) named(name, value string) {
	if value != "" {
		p.add(name + "=" + quoteWord(value))
	}
}

func (p *printed) wait(d time.Duration) {
	if d != 0 {
		p.add(number.FormatDuration(d))
	}
}

func (p *printed) bytes(n int64) {
	if n > 0 {
		p.add(number.FormatSize(n))
	}
}

// quoteWord quotes what would not read back as one word.
func quoteWord(s string) string {
	if s == "" || strings.ContainsFunc(s, func(c rune) bool { return c > '~' || !isWordByte(byte(c)) }) { //nolint:gosec // It is ASCII.
		return strconv.Quote(s)
	}
	return s
}

// isWordByte says whether a byte can be in a word without quotes.
func isWordByte(c byte) bool { return c > ' ' && c != 0x7f && strings.IndexByte(`(),="`, c) < 0 }

// String returns the latency as an action has it.
func (l Latency) String() string {
	return strings.TrimSuffix(strings.TrimPrefix(Action{Kind: Delay, Latency: l}.String(), "delay("), ")")
}
