package integration_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/frayrpc/fray/integration/tasks"
)

// What the alerts and the board of examples/observe name is there: each metric, and each label that they choose by. Of
// those that only several controllers have docs/operations.md tells, as TestMetricsOfSeveralControllersAreDocumented holds.
func TestAlertsAndBoardNameMetricsThatAreShown(t *testing.T) {
	t.Parallel()
	needDirectory(t)
	c := newCluster(t, "--data-dir", filepath.Join(t.TempDir(), "data"))
	w := c.worker("w")
	ctx := c.client()
	get(ctx, t, run(ctx, t, tasks.Square, 2))
	shown := make(map[string]map[string]bool) // the labels of each metric
	for _, url := range []string{c.url(), w.url} {
		for name, family := range c.families(url) {
			shown[name] = make(map[string]bool)
			for _, m := range family.GetMetric() {
				for _, l := range m.GetLabel() {
					shown[name][l.GetName()] = true
				}
			}
		}
	}
	text, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, several, _ := strings.Cut(string(text), "\n## Metrics of several controllers\n")
	several, _, _ = strings.Cut(several, "\n## ")
	for _, row := range regexp.MustCompile("(?m)^\\| (`fray_[^|]*) \\|([^|]*)\\|").FindAllStringSubmatch(several, -1) {
		for _, m := range metricName.FindAllString(row[1], -1) {
			shown[m] = make(map[string]bool)
			for _, l := range regexp.MustCompile(`\w+`).FindAllString(row[2], -1) {
				shown[m][l] = true
			}
		}
	}
	named := make(map[string]bool)
	for _, expr := range slices.Concat(alertExprs(t), boardExprs(t)) {
		for _, m := range regexp.MustCompile(`(fray_[a-z_]+)(?:\{([^}]*)\})?`).FindAllStringSubmatch(expr, -1) {
			name := strings.TrimSuffix(m[1], "_bucket")
			named[name] = true
			labels, ok := shown[name]
			if !ok {
				t.Errorf("%s is named, and neither controller nor worker shows it: %s", name, expr)
				continue
			}
			for _, l := range regexp.MustCompile(`(\w+)(?:=~|!~|!=|=)"`).FindAllStringSubmatch(m[2], -1) {
				if !labels[l[1]] {
					t.Errorf("%s is chosen by %s, and has no such label: %s", name, l[1], expr)
				}
			}
		}
	}
	if len(named) < 30 {
		t.Errorf("%d metrics are named: does this test still read the files?", len(named))
	}
}

var metricName = regexp.MustCompile(`fray_[a-z_]+`)

func alertExprs(t *testing.T) (exprs []string) {
	t.Helper()
	var file struct {
		Groups []struct {
			Rules []struct {
				Expr string `yaml:"expr"`
			} `yaml:"rules"`
		} `yaml:"groups"`
	}
	content, err := os.ReadFile("../examples/observe/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(content, &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			exprs = append(exprs, r.Expr)
		}
	}
	return exprs
}

func boardExprs(t *testing.T) (exprs []string) {
	t.Helper()
	var file struct {
		Panels []struct {
			Targets []struct {
				Expr string `json:"expr"`
			} `json:"targets"`
		} `json:"panels"`
	}
	content, err := os.ReadFile("../examples/observe/grafana/fray.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &file); err != nil {
		t.Fatal(err)
	}
	for _, p := range file.Panels {
		for _, target := range p.Targets {
			exprs = append(exprs, target.Expr)
		}
	}
	return exprs
}
