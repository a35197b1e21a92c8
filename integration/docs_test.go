package integration_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/frayrpc/fray/fray/store/pgstore/pgtest"
	"github.com/frayrpc/fray/integration/tasks"
	library "github.com/frayrpc/fray/sim/cluster"
)

// docs/operations.md names every metric of Fray's own that a controller and a worker show, and no
// other.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	needDirectory(t)
	c := newCluster(t, "--data-dir", filepath.Join(t.TempDir(), "data"))
	w := c.worker("w")
	ctx := c.client()
	get(ctx, t, run(ctx, t, tasks.Square, 2))
	wantDocumented(t, false, append(c.metricNames(c.url()), c.metricNames(w.url)...))
}

// Its section about several controllers names those that one of several has beside these, and no other.
func TestMetricsOfSeveralControllersAreDocumented(t *testing.T) {
	t.Parallel()
	needDirectory(t)
	c := newLeaders(t, pgtest.Start(t).URL(), 1)
	alone := newCluster(t)
	w := alone.worker("w")
	ctx := alone.client()
	get(ctx, t, run(ctx, t, tasks.Square, 2))
	one := append(alone.metricNames(alone.url()), alone.metricNames(w.url)...)
	wantDocumented(t, true, slices.DeleteFunc(c.metricNames(c.members[0].url), func(name string) bool { return slices.Contains(one, name) }))
}

// metricNames are those of a process's metrics that are Fray's own.
func (c *cluster) metricNames(url string) (names []string) {
	c.t.Helper()
	for key := range c.scrape(url) {
		if name, _, _ := strings.Cut(key, "{"); strings.HasPrefix(name, "fray_") {
			names = append(names, name)
		}
	}
	return names
}

// wantDocumented checks that docs/operations.md names these metrics and no other: in its section about several
// controllers, or everywhere else.
func wantDocumented(t *testing.T, several bool, shown []string) {
	t.Helper()
	text, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for section := range strings.SplitSeq(string(text), "\n## ") {
		if strings.HasPrefix(section, "Metrics of several controllers\n") != several {
			continue
		}
		for _, m := range regexp.MustCompile("`(fray_[a-z_]+)`").FindAllStringSubmatch(section, -1) {
			names = append(names, m[1])
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

// docs/attacks.md names only tests, scripts and scenarios that exist, and make attacks runs them all.
func TestAttacksAreShown(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/attacks.md")
	if err != nil {
		t.Fatal(err)
	}
	scenarios := make(map[string]bool)
	for _, name := range library.List() {
		scenarios[name] = true
	}
	rows := 0
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 || !strings.Contains(cells[3], "`") {
			continue
		}
		rows++
		where, inside, _ := strings.Cut(cells[3], "(")
		names := regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(where, -1)
		pkg := names[0][1]
		var source strings.Builder
		files, err := filepath.Glob(filepath.Join("..", pkg, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			source.Write(data)
		}
		for _, m := range names[1:] {
			if !strings.Contains(source.String(), "func "+m[1]+"(") {
				t.Errorf("%s has no %s", pkg, m[1])
			}
		}
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(inside, -1) {
			script := filepath.Join("../cmd/fray/testdata/script", m[1]+".txtar")
			if _, err := os.Stat(script); err != nil && !scenarios[m[1]] {
				t.Errorf("%s is neither a script nor a scenario", m[1])
			}
		}
	}
	if rows < 40 {
		t.Errorf("the page has %d attacks: does this test still read it?", rows)
	}
}
