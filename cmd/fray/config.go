package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/frayrpc/fray/internal/command"
	"github.com/frayrpc/fray/internal/yamltree"
)

// maxConfigBytes bounds a configuration file.
const maxConfigBytes = 1 << 20

// eachOption calls fn for the options of all commands below root.
func eachOption(root *cobra.Command, fn func(flag *pflag.Flag, s command.Source)) {
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" || cmd.Name() == "help" {
			continue
		}
		for flag, s := range command.Sources(cmd.Name(), cmd.Flags()) {
			fn(flag, s)
		}
		eachOption(cmd, fn)
	}
}

// optionVariables are those of all options of all commands.
func optionVariables(root *cobra.Command) (names []string) {
	eachOption(root, func(_ *pflag.Flag, s command.Source) { names = append(names, s.Variable) })
	return names
}

// documentSources adds the variable of each option to its usage.
func documentSources(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" || cmd.Name() == "help" {
			continue
		}
		command.DocumentSources(cmd.Name(), cmd.Flags())
		documentSources(cmd)
	}
}

// configure gives the options of cmd that the command line does not have their values from the
// environment and the configuration file. The file is checked as a whole, so that a mistake shows
// whatever the command.
func (a *app) configure(cmd *cobra.Command) error {
	onlyArgs(cmd)
	if err := command.CheckGiven(cmd.Flags()); err != nil {
		return err
	}
	env := a.Variables()
	if path := cmp.Or(a.configFile, env[command.ConfigVariable]); path != "" {
		if err := a.readFile(path); err != nil {
			return err
		}
	}
	return a.Configure(cmd.Name(), cmd.Flags(), env, optionVariables(a.root))
}

// readFile takes what the configuration file says, for all commands: only one of them runs.
func (a *app) readFile(path string) error {
	data, err := readBounded(path, maxConfigBytes)
	if err != nil {
		return command.UsageError("read configuration: %w", err)
	}
	return a.applyFile(path, data)
}

// applyFile is readFile of a file that has been read.
func (a *app) applyFile(path string, data []byte) error {
	f := &configReader{path: path, flags: make(map[command.Source][]*pflag.Flag), anchors: make(map[string]ast.Node)}
	eachOption(a.root, func(flag *pflag.Flag, s command.Source) {
		s.Variable = ""
		f.flags[s] = append(f.flags[s], flag)
	})
	bodies, problem := yamltree.Parse(bytes.TrimPrefix(data, []byte("\uFEFF")), parser.AllowDuplicateMapKey())
	if problem != nil {
		return command.UsageError("%s:%d:%d: %s", path, max(problem.Line, 1), max(problem.Column, 1), problem.Text)
	}
	if len(bodies) == 0 {
		return nil
	}
	if top, ok := f.plain(bodies[0]).(ast.MapNode); ok {
		f.read("", top)
	} else {
		f.fail(bodies[0], "must be a list of key: value")
	}
	if len(f.errs) > 0 {
		return &command.CodedError{Code: command.ExitUsage, Err: errors.Join(f.errs...)}
	}
	return nil
}

// configReader applies a file, and gathers what is wrong with it.
type configReader struct {
	path    string
	flags   map[command.Source][]*pflag.Flag // by source, without its variable
	anchors map[string]ast.Node              // so far
	errs    []error
}

func (f *configReader) fail(node ast.Node, format string, args ...any) {
	at := yamltree.Start(node)
	f.errs = append(f.errs, fmt.Errorf("%s:%d:%d: %w", f.path, at.Line, at.Column, fmt.Errorf(format, args...)))
}

// plain returns the mapping, sequence or scalar that a node is or stands for; nil: an alias stands
// for nothing.
func (f *configReader) plain(node ast.Node) ast.Node {
	switch n := node.(type) {
	case *ast.AnchorNode:
		f.anchors[n.Name.String()] = f.plain(n.Value)
		return f.plain(n.Value)
	case *ast.AliasNode:
		return f.anchors[n.Value.String()]
	case *ast.TagNode:
		return f.plain(n.Value)
	case *ast.MappingKeyNode:
		return f.plain(n.Value)
	}
	return node
}

// read applies the mapping that is section, or the whole file.
func (f *configReader) read(section string, mapping ast.MapNode) {
	seen := make(map[string]bool)
	for entries := mapping.MapRange(); entries.Next(); {
		at, value := entries.Key(), entries.Value()
		key, _ := f.word(at)
		if seen[key] {
			f.fail(at, "key %q is there twice", key)
			continue
		}
		seen[key] = true
		flags, isOption := f.flags[command.Source{Section: section, Key: key}]
		switch {
		case isOption:
			f.set(key, value, flags)
		case section == "" && f.isSection(key):
			if inner, ok := f.plain(value).(ast.MapNode); ok {
				f.read(key, inner)
				continue
			}
			hint := ""
			if key == "controller" {
				hint = "; the URL of a controller is controller-address"
			}
			f.fail(value, "%s is a section: its options go below it, indented%s", key, hint)
		case section == "":
			f.fail(at, "unknown key %q%s", key, command.DidYouMean(key, f.keys("")))
		default:
			f.fail(at, "unknown key %q of %s%s", key, section, command.DidYouMean(key, f.keys(section)))
		}
	}
}

func (f *configReader) isSection(name string) bool { return len(f.keys(name)) > 0 }

// keys returns the keys that a section can have. Those at the top include the sections.
func (f *configReader) keys(section string) []string {
	var keys []string
	for s := range f.flags {
		if s.Section == section {
			keys = append(keys, s.Key)
		} else if section == "" {
			keys = append(keys, s.Section)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// set gives an option its value, for every command that has it.
func (f *configReader) set(key string, value ast.Node, flags []*pflag.Flag) {
	text, ok := f.scalarOf(value)
	if !ok {
		f.fail(value, "%s has no such structure", key)
		return
	}
	if err := command.CheckEmpty(flags[0], text); err != nil {
		f.fail(value, "%s: %w", key, err)
		return
	}
	// Commands that have the same option share its variable, so one that the command line sets must
	// not be touched.
	if slices.ContainsFunc(flags, func(flag *pflag.Flag) bool { return flag.Changed }) {
		return
	}
	for _, flag := range flags {
		if err := command.SetFlag(flag, text); err != nil {
			f.fail(value, "%s: %w", key, err)
			return
		}
	}
}

// scalarOf returns a value as it would be written on the command line: lists and mappings of
// scalars with commas.
func (f *configReader) scalarOf(node ast.Node) (string, bool) {
	var list []string
	all := true
	word := func(node ast.Node) string {
		text, ok := f.word(node)
		all = all && ok
		return text
	}
	switch n := f.plain(node).(type) {
	case *ast.SequenceNode:
		for _, value := range n.Values {
			list = append(list, word(value))
		}
	case ast.MapNode:
		for entries := n.MapRange(); entries.Next(); {
			list = append(list, word(entries.Key())+"="+word(entries.Value()))
		}
	case *ast.NullNode:
		return "", false
	default:
		return f.word(n)
	}
	return strings.Join(list, ","), all
}

// word returns the text of a scalar, and false if it is none.
func (f *configReader) word(node ast.Node) (string, bool) {
	switch n := f.plain(node).(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case ast.ScalarNode:
		if n.GetToken().Type == token.ImplicitNullType {
			return "", true
		}
		return n.GetToken().Value, true
	}
	return "", false
}

// readBounded reads a file that has at most limit bytes.
func readBounded(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path) // The user names it.
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s has more than %d bytes", path, limit)
	}
	return data, err
}

// newConfigurationTopic is the page of help about the file and the variables. It lists every
// option.
func newConfigurationTopic(root *cobra.Command) *cobra.Command {
	cmd := newTopic("configuration", "Options from the environment and a file", "")
	cmd.SetHelpFunc(func(cmd *cobra.Command, _ []string) { fmt.Fprint(cmd.OutOrStdout(), configurationHelp(root)) })
	return cmd
}

func configurationHelp(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString(`Each option can be given on the command line, by a variable of the environment, or in the YAML file that --config or
$FRAY_CONFIG names; in this order, the first one counts. In the file, options that belong to one command stand in a
section with its name, and options that many commands share stand at the top:

  controller-address: http://10.0.0.5:7070
  worker:
    slots: 8
    drain-grace: 2m
    labels: {zone: a, disk: ssd}

$FRAY_TOKEN is a secret that controller, workers and clients share: where it is set for a controller, it refuses callers
that do not have it. It can be given by the environment, or by a file (token-file).

An option without a value, such as --data-dir "", is a mistake and says so. Only lists can be empty, and $FRAY_CONTROLLER_ADDRESS
and, for clients, $FRAY_TOKEN, which mean none then.

A key that fray does not know is an error. What concerns a single use of a command, such as a task's id, has neither key
nor variable.

`)
	type line struct{ key, variable, name string }
	var lines []line
	width := 0
	eachOption(root, func(flag *pflag.Flag, s command.Source) {
		l := line{strings.TrimPrefix(s.Section+"."+s.Key, "."), s.Variable, "--" + flag.Name}
		if !slices.Contains(lines, l) {
			lines = append(lines, l)
			width = max(width, len(l.key))
		}
	})
	slices.SortFunc(lines, func(a, b line) int {
		if nested := strings.Count(a.key, ".") - strings.Count(b.key, "."); nested != 0 {
			return nested
		}
		return strings.Compare(a.key, b.key)
	})
	for _, l := range lines {
		fmt.Fprintf(&b, "  %-*s  %s\n", width, l.key, l.variable)
	}
	return b.String()
}
