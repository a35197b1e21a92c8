package faults

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/frayrpc/fray/internal/number"
)

// ParseRule reads a rule from one line of text:
//
//	id: action clause...
//
// The package's documentation lists actions and clauses. An error is a [*RuleError] with its
// position.
func ParseRule(text string) (Rule, error) {
	p := &parser{scanner: scanner{text: text}, columns: map[string]int{}}
	if err := p.parse(); err != nil {
		err.Rule = p.rule.ID
		return Rule{}, err
	}
	return p.rule, nil
}

// A parser reads one rule.
type parser struct {
	scanner

	rule    Rule
	columns map[string]int // where the value of a field starts
}

func (p *parser) parse() *RuleError {
	if len(p.text) > MaxRuleText {
		return at(MaxRuleText+1, "the rule is longer than %d bytes", MaxRuleText)
	}
	if err := p.head(); err != nil {
		return err
	}
	for !p.done() {
		if err := p.clause(); err != nil {
			return err
		}
	}
	if err := p.rule.Validate(); err != nil {
		invalid := err.(*RuleError) //nolint:errorlint,errcheck // Validate returns nothing else.
		if invalid.Column = p.columns[invalid.field]; invalid.Column == 0 {
			invalid.Column = p.columns[fieldAction]
		}
		return invalid
	}
	p.rule = p.rule.normal()
	return nil
}

// head reads the id and the action.
func (p *parser) head() *RuleError {
	p.skipSpace()
	id, _, found := strings.Cut(p.text[p.at:], ":")
	id = strings.TrimRight(id, " \t")
	if !found || !isName(id) {
		return at(p.column(), "a rule starts with its id and a colon, as in lost-reply: drop phase=response-in-flight")
	}
	p.columns[fieldID] = p.column()
	p.rule.ID = id
	p.at += len(id)
	p.accept(':')
	kind, err := p.word("an action")
	if err != nil {
		return err
	}
	p.columns[fieldAction] = kind.column
	p.rule.Action, err = p.action(kind)
	return err
}

// clauses read the value of each, by name.
var clauses = map[string]func(*Rule, word) *RuleError{
	fieldSide:  func(r *Rule, w word) *RuleError { r.Side = Side(w.text); return nil },
	fieldPhase: func(r *Rule, w word) *RuleError { r.Phase = Phase(w.text); return nil },
	fieldMessage: func(r *Rule, w word) (err *RuleError) {
		if w.text == "*" {
			r.Message = EveryMessage
			return nil
		}
		r.Message, err = parseCount(fieldMessage, w, math.MaxInt32)
		return err
	},
	fieldProcedure: func(r *Rule, w word) *RuleError { r.Procedure = w.text; return nil },
	fieldFrom:      func(r *Rule, w word) *RuleError { r.From = strings.Split(w.text, "|"); return nil },
	fieldTo:        func(r *Rule, w word) *RuleError { r.To = strings.Split(w.text, "|"); return nil },
	fieldHeader: func(r *Rule, w word) *RuleError {
		name, value, found := strings.Cut(w.text, ":")
		if !found {
			return at(w.column, "header %q has no value; write header=Name:value", w.text)
		}
		r.Headers = append(r.Headers, Header{Name: http.CanonicalHeaderKey(name), Value: value})
		return nil
	},
	fieldProbability: func(r *Rule, w word) *RuleError {
		p, err := strconv.ParseFloat(w.text, 64)
		switch {
		case err != nil:
			return at(w.column, "probability %q is no number; write it like 0.25", w.text)
		case p == 0:
			return at(w.column, "the rule can never act: its probability is 0; remove the rule")
		}
		r.Probability = p
		return nil
	},
	fieldAfter: func(r *Rule, w word) (err *RuleError) { r.After, err = parseCount(fieldAfter, w, anyCount); return err },
	fieldNth:   func(r *Rule, w word) (err *RuleError) { r.Nth, err = parseCount(fieldNth, w, anyCount); return err },
	fieldEvery: func(r *Rule, w word) (err *RuleError) { r.Every, err = parseCount(fieldEvery, w, anyCount); return err },
	fieldFirst: func(r *Rule, w word) (err *RuleError) { r.First, err = parseCount(fieldFirst, w, anyCount); return err },
	fieldWindow: func(r *Rule, w word) (err *RuleError) {
		from, until, found := strings.Cut(w.text, "..")
		if !found || w.text == ".." {
			return at(w.column, "window %q has no two ends; write it like 10s..30s, 10s.. or ..30s", w.text)
		}
		if from != "" {
			if r.Window.From, err = parseDuration(word{from, w.column}); err != nil {
				return err
			}
		}
		if until == "" {
			return nil
		}
		if r.Window.Until, err = parseDuration(word{until, w.column + len(from) + 2}); err == nil && r.Window.Until == 0 {
			return at(w.column, "the rule can never act: window %s ends before it starts", w.text)
		}
		return err
	},
	fieldEvent: func(r *Rule, w word) *RuleError { r.Event = w.text; return nil },
}

var clauseNames = []string{
	fieldSide, fieldPhase, fieldMessage, fieldProcedure, fieldFrom, fieldTo, fieldHeader,
	fieldProbability, fieldAfter, fieldNth, fieldEvery, fieldFirst, fieldWindow, fieldEvent,
}

func (p *parser) clause() *RuleError {
	name, err := p.word("a clause such as phase=request-in-flight")
	if err != nil {
		return err
	}
	read, known := clauses[name.text]
	if !known {
		return at(name.column, "clause %q is unknown%s", name.text, didYouMean(name.text, clauseNames))
	}
	if p.columns[name.text] != 0 && name.text != fieldHeader {
		return at(name.column, "clause %s is there twice; keep one", name.text)
	}
	if !p.accept('=') {
		return at(p.column(), "clause %s has no value; write %[1]s=value", name.text)
	}
	value, err := p.word("the value of " + name.text)
	if err != nil {
		return err
	}
	p.columns[name.text] = value.column
	return read(&p.rule, value)
}

const anyCount = uint64(math.MaxUint64)

func parseCount[T number.Integer](name string, w word, high T) (T, *RuleError) {
	n, err := number.Parse(w.text, 0, high)
	var outside *number.RangeError
	switch {
	case errors.As(err, &outside) && !outside.Below:
		return 0, at(w.column, "%s %s is more than %v", name, w.text, high)
	case err != nil:
		return 0, at(w.column, "%s %q is no number from 1 on", name, w.text)
	case n == 0:
		return 0, at(w.column, "%s=0 selects nothing; counts start at 1", name)
	}
	return n, nil
}

func parseDuration(w word) (time.Duration, *RuleError) {
	d, err := number.ParseDuration(w.text)
	if err != nil {
		return 0, at(w.column, "%q is no duration; write a number with a unit, like 250ms, 10s or 1m30s", w.text)
	}
	return d, nil
}

// parseBytes reads a number of bytes, such as 64KiB.
func parseBytes(w word) (int64, *RuleError) {
	digits, unit := number.CutUnit(w.text, number.AllUnits)
	n, err := number.Parse(digits, -math.MaxInt64/unit, math.MaxInt64/unit)
	var outside *number.RangeError
	switch {
	case errors.As(err, &outside):
		return 0, at(w.column, "%q is no size that there is: the most is %d bytes", w.text, int64(math.MaxInt64))
	case err != nil:
		return 0, at(w.column, "%q is no size; write a number with a unit, like 100B, 64KiB or 1MB", w.text)
	}
	return n * unit, nil
}
