package faults

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/frayrpc/fray/internal/glob"
	"github.com/frayrpc/fray/internal/spelling"
)

// A Plan is what to inject: rules in the order in which they act on a call that several concern,
// and the seed of everything that they leave to chance.
type Plan struct {
	Seed  uint64
	Rules []Rule
}

// ParsePlan reads a plan from text: one rule a line, "seed" and a number at most once in a line of
// its own, empty lines, and comments in lines that start with #. All errors are reported, each a
// [*RuleError], joined.
func ParsePlan(text string) (Plan, error) {
	var plan Plan
	var errs []error
	var seedLine int
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimRight(line, "\r")
		trimmed := strings.TrimSpace(line)
		if trimmed == "" || strings.HasPrefix(trimmed, "#") {
			continue
		}
		if number, found := strings.CutPrefix(trimmed, "seed "); found {
			seed, err := strconv.ParseUint(strings.TrimSpace(number), 10, 64)
			switch {
			case err != nil:
				errs = append(errs, &RuleError{Line: i + 1, Column: strings.Index(line, number) + 1, Problem: fmt.Sprintf("seed %q is no whole number from 0 on", number)})
			case seedLine > 0:
				errs = append(errs, &RuleError{Line: i + 1, Column: 1, Problem: fmt.Sprintf("there is a seed in line %d; keep one", seedLine)})
			}
			plan.Seed, seedLine = seed, i+1
			continue
		}
		rule, err := ParseRule(line)
		if invalid := (*RuleError)(nil); errors.As(err, &invalid) {
			invalid.Line = i + 1
			errs = append(errs, invalid)
			continue
		}
		plan.Rules = append(plan.Rules, rule)
	}
	if len(errs) == 0 {
		errs = append(errs, plan.Validate(nil))
	}
	return plan, errors.Join(errs...)
}

// String returns the plan as the text that [ParsePlan] reads.
func (p Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d\n", p.Seed)
	for _, rule := range p.Rules {
		b.WriteString(rule.String())
		b.WriteByte('\n')
	}
	return b.String()
}

// Validate checks each rule and that they fit together. With procedures, such as those of
// [Procedures], each rule must match at least one of them.
func (p Plan) Validate(procedures []string) error {
	if len(p.Rules) > MaxRules {
		return fmt.Errorf("plan has %d rules, more than %d", len(p.Rules), MaxRules)
	}
	var errs []error
	var holds []string
	seen := map[string]bool{}
	for _, rule := range p.Rules {
		if rule.Action.Kind == Hold {
			holds = append(holds, rule.ID)
		}
	}
	for _, rule := range p.Rules {
		var invalid *RuleError
		switch err := rule.Validate(); {
		case err != nil:
			errs = append(errs, err)
			continue
		case seen[rule.ID]:
			invalid = wrong(fieldID, "the id is there twice; rename one")
		case rule.Action.Kind == Release && !slices.Contains(holds, rule.Action.Target):
			invalid = wrong(fieldAction, "release: there is no hold %q%s", rule.Action.Target, suggestion(rule.Action.Target, holds))
		case !knows(procedures, rule.Procedure):
			invalid = wrong(fieldProcedure, "procedure %q is unknown%s", rule.Procedure, nearestProcedure(rule.Procedure, procedures))
		}
		seen[rule.ID] = true
		if invalid != nil {
			invalid.Rule = rule.ID
			errs = append(errs, invalid)
		}
	}
	return errors.Join(errs...)
}

func suggestion(word string, known []string) string {
	if len(known) == 0 {
		return "; give the rule that holds that id"
	}
	return didYouMean(word, known)
}

// Procedures returns the procedures of all services in some files of descriptors, sorted.
func Procedures(files ...protoreflect.FileDescriptor) []string {
	var procedures []string
	for _, file := range files {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				procedures = append(procedures, "/"+string(service.FullName())+"/"+string(service.Methods().Get(j).Name()))
			}
		}
	}
	slices.Sort(procedures)
	return slices.Compact(procedures)
}

// knows says whether a pattern matches any procedure. Nobody knows any: it may.
func knows(procedures []string, pattern string) bool {
	return len(procedures) == 0 || pattern == "" || slices.ContainsFunc(procedures, func(procedure string) bool {
		return glob.Match(pattern, procedure)
	})
}

// nearestProcedure suggests the procedure that is the fewest changes away, by its last part if that
// is all there is.
func nearestProcedure(pattern string, procedures []string) string {
	names := slices.Clone(procedures)
	if strings.HasPrefix(pattern, "*") {
		for i, name := range names {
			names[i] = name[strings.LastIndexByte(name, '/'):]
		}
	}
	i := spelling.Within(len(pattern)/2, strings.Trim(pattern, "*"), names)
	if i < 0 {
		return "; the service's descriptors have no such one"
	}
	return "; did you mean " + procedures[i] + "?"
}
