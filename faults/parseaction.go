package faults

import (
	"slices"
	"time"
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
	b := behaviourOf(a.Kind)
	if b == nil {
		return a, at(kind.column, "action %q is unknown%s", kind.text, didYouMean(kind.text, kinds()))
	}
	if err := b.read(&a, args); err != nil {
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

func (args *arguments) host() string {
	host, _ := args.take("host")
	return host.text
}

// wait takes a duration without a name, if there is one.
func (args *arguments) wait(into *time.Duration) (err *RuleError) {
	if w, found := args.take(""); found {
		*into, err = parseDuration(w)
	}
	return err
}

// bytes takes a size, if there is one.
func (args *arguments) bytes(into *int64) (err *RuleError) {
	if w, found := args.take(""); found {
		*into, err = parseBytes(w)
	}
	return err
}
