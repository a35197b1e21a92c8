package integration_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/frayrpc/fray/integration/tasks"
)

// docs/operations.md names every metric of Fray's own that a controller and a worker show, and no other.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
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
