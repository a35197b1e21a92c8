package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/frayrpc/fray/internal/command"
)

// A configuration file is taken, or each mistake in it has its place.
func FuzzConfiguration(f *testing.F) {
	for _, text := range []string{
		"controller-address: 127.0.0.1:7070\ncontroller:\n  retention: 24h\n  max-queued-bytes: 2000000\nworker:\n  labels: {zone: a}\n  resources: [cpu=1]\n",
		"controller: &c {retention: 1h}\nworker: *c\n", "controller: *c", "a: b", "- a", "controller:\n  retention: [1h, 2h]\n  retention: 1h", "worker: {labels: {a: {b: c}}}", "? {a: b}\n: c",
		"controller: {retention: !!str 1h, listen: ''}", "worker: {labels: &l [a=b, *l]}", "output: |\n  json\n", "worker: {labels: {<<: {a: b}}}", "map: {jobs: 1e3}", "\uFEFFoutput: json",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > maxConfigBytes {
			return
		}
		a := &app{}
		a.root = a.newRoot()
		err := a.applyFile("fray.yaml", text)
		if err == nil {
			return
		}
		for line := range strings.Lines(err.Error()) {
			if strings.HasPrefix(line, "fray.yaml:") {
				return
			}
		}
		t.Errorf("the error does not say where: %v", err)
	})
}

// An option refuses a value, or prints one that it takes and prints in the same way.
func FuzzOptions(f *testing.F) {
	for i, text := range []string{
		"", "1h30m", "2GiB", "cpu=2000,gpu=1", "zone=a,disk=b=c", "-1", "9223372036854775808", "a,b", "0x10", "1e3", "127.0.0.1:0", "a=b,a=c", "\x00", "=", ",,", "true", "json", "10000000h", "1.5s", "\"a\nb\"",
	} {
		f.Add(uint16(i), text)     // within: a few of them
		f.Add(uint16(40+i), text)  // within: a few of them
		f.Add(uint16(120+i), text) // within: a few of them
	}
	f.Fuzz(func(t *testing.T, which uint16, text string) {
		a := &app{}
		a.root = a.newRoot()
		var flags []*pflag.Flag
		eachOption(a.root, func(flag *pflag.Flag, _ command.Source) {
			if !slices.Contains(flags, flag) {
				flags = append(flags, flag)
			}
		})
		flag := flags[int(which)%len(flags)]
		if command.SetFlag(flag, text) != nil {
			return
		}
		printed := flag.Value.String()
		if flag.Value.Type() == "stringArray" || flag.Value.Type() == "stringSlice" {
			return // They print what is meant for people.
		}
		if err := command.SetFlag(flag, printed); err != nil {
			t.Errorf("--%s %q prints %q, which it refuses: %v", flag.Name, text, printed, err)
		} else if again := flag.Value.String(); again != printed {
			t.Errorf("--%s %q prints %q, and then %q", flag.Name, text, printed, again)
		}
	})
}
