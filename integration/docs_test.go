package integration_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/frayrpc/fray/integration/tasks"
	library "github.com/frayrpc/fray/sim/cluster"
)

// docs/operations.md names every metric of Fray's own that a controller and a worker show, and no
// other.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "--data-dir", filepath.Join(t.TempDir(), "data"))
	w := c.worker("w")
	ctx := c.client()
	get(ctx, t, run(ctx, t, tasks.Square, 2))
	text, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := regexp.MustCompile("`(fray_[a-z_]+)`").FindAllStringSubmatch(string(text), -1)
	names := make([]string, 0, len(documented))
	for _, m := range documented {
		names = append(names, m[1])
	}
	var shown []string
	for _, url := range []string{c.url(), w.url} {
		for key := range c.scrape(url) {
			name, _, _ := strings.Cut(key, "{")
			if strings.HasPrefix(name, "fray_") {
				shown = append(shown, name)
			}
		}
	}
	for _, name := range shown {
		if !slices.Contains(names, name) {
			t.Errorf("%s is not documented", name)
		}
	}
	for _, name := range names {
		if !slices.Contains(shown, name) {
			t.Errorf("%s is documented, and there is no such metric", name)
		}
	}
}

// docs/guarantees.md names only tests and scenarios that exist.
func TestGuaranteesAreShown(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/guarantees.md")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{"eventually": true}
	for _, name := range library.List() {
		known[name] = true
	}
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	group := ""
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)|^\t+(?:\{)?name: "([^"]+)"`).FindAllStringSubmatch(string(source), -1) {
			if m[1] != "" {
				group = m[1]
				known[group] = true
			} else {
				known[group+"/"+m[2]] = true
			}
		}
	}
	named := 0
	for _, m := range regexp.MustCompile("`(Test[^`]+|[a-z0-9]+(?:-[a-z0-9]+)+)`").FindAllStringSubmatch(string(text), -1) {
		named++
		if !known[m[1]] {
			t.Errorf("there is no %s", m[1])
		}
	}
	if named < 40 {
		t.Errorf("the page names %d tests and scenarios: does this test still read it?", named)
	}
}
