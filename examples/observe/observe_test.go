// Package observe_test keeps the alerts and the board true to Prometheus and to the runbook: README.md tells what there is. That
// the metrics exist which they name is held where a cluster runs, in package integration.
package observe_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

const (
	alertsFile = "alerts.yaml"
	testsFile  = "alerts.test.yaml"
	boardFile  = "grafana/fray.json"
	// runbook is where the sections are that alerts link.
	runbook = "https://github.com/frayrpc/fray/blob/main/docs/runbook.md#"
)

type rule struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func alerts(t *testing.T) (rules []rule) {
	t.Helper()
	var file struct {
		Groups []struct {
			Rules []rule `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.Unmarshal(read(t, alertsFile), &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		rules = append(rules, g.Rules...)
	}
	if len(rules) == 0 {
		t.Fatalf("%s has no alerts", alertsFile)
	}
	return rules
}

// panelExpr is an expression of the board, and the panel that shows it.
type panelExpr struct{ panel, expr string }

func board(t *testing.T) (list []panelExpr) {
	t.Helper()
	var file struct {
		Panels []struct {
			ID      int    `json:"id"`
			Type    string `json:"type"`
			Title   string `json:"title"`
			GridPos struct{ X, Y, W, H int }
			Targets []struct {
				Expr string `json:"expr"`
			} `json:"targets"`
		} `json:"panels"`
	}
	if err := json.Unmarshal(read(t, boardFile), &file); err != nil {
		t.Fatal(err)
	}
	taken := make(map[[2]int]string)
	for i, p := range file.Panels {
		if p.ID != i+1 {
			t.Errorf("panel %q has the id %d, want %d", p.Title, p.ID, i+1)
		}
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %q shows nothing", p.Title)
		}
		if p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %q is wider than the board", p.Title)
		}
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if other, ok := taken[at]; ok {
					t.Fatalf("panels %q and %q are at the same place", other, p.Title)
				}
				taken[at] = p.Title
			}
		}
		for _, target := range p.Targets {
			list = append(list, panelExpr{p.Title, target.Expr})
		}
	}
	return list
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// Who is woken by an alert finds what to do; and a section that no alert links is one too many.
func TestAlertsHaveTheirRunbook(t *testing.T) {
	t.Parallel()
	var sections []string
	for _, m := range regexp.MustCompile(`(?m)^## (\w+)\n\n\*\*Means:\*\* [^#]+\n\n\*\*Look at:\*\* [^#]+\n\n\*\*Do:\*\* `).FindAllStringSubmatch(string(read(t, "../../docs/runbook.md")), -1) {
		sections = append(sections, m[1])
	}
	var names []string
	for _, a := range alerts(t) {
		names = append(names, a.Alert)
		if !slices.Contains(sections, a.Alert) {
			t.Errorf("docs/runbook.md has no section of %s that tells what it means, what to look at and what to do", a.Alert)
		}
		if url := a.Annotations["runbook_url"]; url != runbook+strings.ToLower(a.Alert) {
			t.Errorf("%s links %s, want %s", a.Alert, url, runbook+strings.ToLower(a.Alert))
		}
		if a.Annotations["summary"] == "" || !slices.Contains([]string{"critical", "warning"}, a.Labels["severity"]) {
			t.Errorf("%s has no summary, or the severity %q", a.Alert, a.Labels["severity"])
		}
	}
	for _, s := range sections {
		if !slices.Contains(names, s) {
			t.Errorf("docs/runbook.md has a section of %s, and there is no such alert", s)
		}
	}
	if slices.Sort(names); len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Error("two alerts have one name")
	}
}

// An alert that was never seen to fire may be one that cannot.
func TestAlertsHaveTests(t *testing.T) {
	t.Parallel()
	var file struct {
		Tests []struct {
			Alerts []struct {
				Name string `yaml:"alertname"`
				Want []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		} `yaml:"tests"`
	}
	if err := yaml.Unmarshal(read(t, testsFile), &file); err != nil {
		t.Fatal(err)
	}
	fires, rests := make(map[string]bool), make(map[string]bool)
	for _, test := range file.Tests {
		for _, a := range test.Alerts {
			if len(a.Want) > 0 {
				fires[a.Name] = true
			} else {
				rests[a.Name] = true
			}
		}
	}
	for _, a := range alerts(t) {
		if !fires[a.Alert] || !rests[a.Alert] {
			t.Errorf("%s has a test in which it fires: %v; and one in which it does not: %v", a.Alert, fires[a.Alert], rests[a.Alert])
		}
	}
}

// TestPromtool has Prometheus' own tool read all of it.
func TestPromtool(t *testing.T) {
	t.Parallel()
	tool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("FRAY_REQUIRE_PROMTOOL") != "" {
			t.Fatal("promtool is not installed: on Debian it is in the package prometheus")
		}
		t.Skip("promtool is not installed: neither rules nor the board's expressions were read by Prometheus")
	}
	promtool := func(t *testing.T, args ...string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), tool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	t.Run("alerts", func(t *testing.T) {
		t.Parallel()
		promtool(t, "check", "rules", alertsFile)
		promtool(t, "test", "rules", testsFile)
	})
	t.Run("board", func(t *testing.T) {
		t.Parallel()
		list := board(t)
		if len(list) < 20 {
			t.Fatalf("the board has %d expressions: does this test still read it?", len(list))
		}
		// promtool reads rules: each expression is one.
		var records []map[string]string
		for i, e := range list {
			records = append(records, map[string]string{
				"record": fmt.Sprintf("panel:%d", i), "expr": strings.ReplaceAll(e.expr, "$__rate_interval", "5m"),
			})
		}
		content, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "board", "rules": records}}})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "board.yaml")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		promtool(t, "check", "rules", path)
	})
}
