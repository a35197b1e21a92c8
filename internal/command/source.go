package command

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// What is noted of a flag.
const (
	// sharedKey: several commands have it. Its value is the option's key at the top of the file.
	sharedKey    = "fray_shared_key"
	momentaryKey = "fray_momentary"
	emptyKey     = "fray_may_be_empty"
)

func annotate(flags *pflag.FlagSet, name, key string, values []string) {
	if err := flags.SetAnnotation(name, key, values); err != nil {
		panic(err)
	}
}

// Shared marks flags as options that are the same for every command that has them.
func Shared(flags *pflag.FlagSet, names ...string) {
	for _, name := range names {
		SharedAs(flags, name, name)
	}
}

// SharedAs is Shared for an option with another name than its flag.
func SharedAs(flags *pflag.FlagSet, name, key string) {
	annotate(flags, name, sharedKey, []string{key})
}

// Momentary marks flags that belong to one use of their command: no variable and no file sets them.
func Momentary(flags *pflag.FlagSet, names ...string) {
	for _, name := range names {
		annotate(flags, name, momentaryKey, nil)
	}
}

// MayBeEmpty marks flags that mean something without a value. Of all others an empty one is a
// mistake, such as a variable of a script that is not set.
func MayBeEmpty(flags *pflag.FlagSet, names ...string) {
	for _, name := range names {
		annotate(flags, name, emptyKey, nil)
	}
}

// CheckEmpty says what to do about an option that is given without a value.
func CheckEmpty(flag *pflag.Flag, value string) error {
	_, ok := flag.Annotations[emptyKey]
	if _, list := flag.Value.(Resetter); ok || list || value != "" {
		return nil // A list can have nothing in it.
	}
	return errors.New("the value is empty: give one, or leave the option out")
}

// emptyIsNone are variables that mean none when they are empty, because what starts commands sets
// them so.
var emptyIsNone = []string{"FRAY_CONTROLLER_ADDRESS"}

// ConfigVariable names a file with options.
const ConfigVariable = "FRAY_CONFIG"

// Source says where an option can come from besides the command line.
type Source struct {
	Section  string // of the file: the name of the command; empty: the top
	Key      string
	Variable string
}

// SourceOf returns the source of a flag of the command of a section; false: it has none.
func SourceOf(section string, flag *pflag.Flag) (Source, bool) {
	_, once := flag.Annotations[momentaryKey]
	if once || flag.Hidden || flag.Name == "help" || flag.Name == "config" {
		return Source{}, false
	}
	s := Source{Section: section, Key: flag.Name}
	if key, ok := flag.Annotations[sharedKey]; ok {
		s.Section, s.Key = "", key[0]
	}
	name := s.Key
	if s.Section != "" {
		name = s.Section + "-" + s.Key
	}
	s.Variable = "FRAY_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
	return s, true
}

// Sources ranges over the flags of the command of a section that have a source.
func Sources(section string, flags *pflag.FlagSet) iter.Seq2[*pflag.Flag, Source] {
	return func(yield func(*pflag.Flag, Source) bool) {
		more := true
		flags.VisitAll(func(flag *pflag.Flag) {
			if s, ok := SourceOf(section, flag); ok && more {
				more = yield(flag, s)
			}
		})
	}
}

// DocumentSources adds the variable of each option to its usage.
func DocumentSources(section string, flags *pflag.FlagSet) {
	for flag, s := range Sources(section, flags) {
		flag.Usage += " [$" + s.Variable + "]"
	}
}

// Variables returns those of the environment that can be options.
func (p *Process) Variables() map[string]string {
	env := make(map[string]string)
	for _, entry := range p.Environ {
		if name, value, ok := strings.Cut(entry, "="); ok && strings.HasPrefix(name, "FRAY_") {
			env[name] = value
		}
	}
	return env
}

// CheckGiven refuses options of the command line that are given without a value.
func CheckGiven(flags *pflag.FlagSet) (err error) {
	flags.Visit(func(flag *pflag.Flag) {
		if e := CheckEmpty(flag, flag.Value.String()); e != nil && err == nil {
			err = UsageError("--%s: %w", flag.Name, e)
		}
	})
	return err
}

// Configure gives the options of the command of a section that the command line does not have their
// values from variables, and takes the token from where it is. It warns of variables that look like a
// misspelt one of those that are known: others may belong to other programs.
func (p *Process) Configure(section string, flags *pflag.FlagSet, env map[string]string, known []string) error {
	if token := env[TokenVariable]; token != "" {
		p.Secure(token)
	}
	var err error
	for flag, s := range Sources(section, flags) {
		if value, ok := env[s.Variable]; ok && !flag.Changed && err == nil {
			if !slices.Contains(emptyIsNone, s.Variable) {
				err = CheckEmpty(flag, value)
			}
			if err == nil {
				err = SetFlag(flag, value)
			}
			if err != nil {
				err = UsageError("environment variable %s: %w", s.Variable, err)
			}
		}
	}
	known = append(slices.Clip(known), ConfigVariable, TokenVariable)
	var unknown []string
	for name := range env {
		if !slices.Contains(known, name) && DidYouMean(name, known) != "" {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	for _, name := range unknown {
		fmt.Fprintf(p.Stderr, "%s: warning: environment variable %s is unknown%s\n", p.Name, name, DidYouMean(name, known))
	}
	if err == nil && flags.Lookup(TokenFileOption) != nil && p.tokenFile != "" {
		err = p.secureByFile(p.tokenFile)
	}
	return err
}
