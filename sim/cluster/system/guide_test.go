package system_test

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/frayrpc/fray/sim/cluster/system"
	"github.com/frayrpc/fray/sim/scenario"
)

var (
	// yamlExample is a block of YAML in a document. A word behind "yaml" is the verdict of its run,
	// if it is to fail.
	yamlExample = regexp.MustCompile("(?s)\n```yaml *([a-z-]*)\n(.*?\n)```")
	topLevelKey = regexp.MustCompile(`(?m)^[a-zA-Z]+:`)
)

// sections splits a scenario file at its top-level keys.
func sections(text string) map[string]string {
	parts := map[string]string{}
	starts := topLevelKey.FindAllStringIndex(text, -1)
	for i, at := range starts {
		end := len(text)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		parts[text[at[0]:at[1]]] = text[at[0]:end]
	}
	return parts
}

// Every example of docs/scenarios.md runs as the guide says. One without apiVersion changes the
// last whole one above it.
func TestGuide(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/scenarios.md")
	if err != nil {
		t.Fatal(err)
	}
	guide := string(text)
	var whole map[string]string
	runs := 0
	for _, at := range yamlExample.FindAllStringSubmatchIndex(guide, -1) {
		verdict, example := cmp.Or(guide[at[2]:at[3]], scenario.VerdictPass), sections(guide[at[4]:at[5]])
		switch {
		case len(example) == 0:
			continue // A comment.
		case example["apiVersion:"] != "":
			whole = example
		default:
			change := example
			example = maps.Clone(whole)
			maps.Copy(example, change)
		}
		runs++
		file := strings.Join(slices.Sorted(maps.Values(example)), "")
		t.Run(fmt.Sprintf("line %d", 2+strings.Count(guide[:at[0]], "\n")), func(t *testing.T) {
			t.Parallel()
			r := run(t, parse(t, file), 1, system.Options{})
			want(t, r, verdict, r.Broken, "")
			if !strings.Contains(guide, r.Text) {
				t.Errorf("the guide does not show what comes of it: %s", r.Text)
			}
		})
	}
	if runs < 10 {
		t.Errorf("the guide has %d examples: does this test still read it?", runs)
	}
}
