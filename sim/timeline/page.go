package timeline

import (
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"github.com/frayrpc/fray/internal/look"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/scenario"
	"github.com/frayrpc/fray/sim/story"
)

//go:embed page
var files embed.FS

var page = template.Must(template.New("page.html").Funcs(template.FuncMap{"short": short}).ParseFS(files, "page/page.html"))

// scripts are the page's, in their order: each is a plain script that sees those before it.
var scripts = []string{"model.js", "format.js", "view.js", "groups.js", "layout.js", "detail.js", "shapes.js", "crowd.js", "canvas.js", "overview.js", "main.js"}

// A Page is a timeline that is ready to be written.
type Page struct {
	Scenario, Summary, Replay string
	Seed                      uint64
	// Verdict is the run's, and Class is pass or fail.
	Verdict, Class string
	Virtual        string
	Steps          int
	Hash           string
	Told           []engine.Line
	// NotJudged are the oracles that found nothing to look at.
	NotJudged string
	// Violation is what broke, about the task Subject if there is one; Gaps are what the page
	// leaves out.
	Violation *violationData
	Subject   string
	Gaps      []*gap
	// Open are tasks that have not ended, of a run that failed, Failed those that have failed, and
	// Oracles what was looked at. Why is where the run parts from one that passes; nil: nobody asked.
	Open, Failed *engine.Tasks
	Oracles      []engine.Count
	// Expected is what the scenario expects to become true.
	Expected []engine.Met
	Why      *story.Why

	Style  template.CSS
	Script template.JS
	Data   template.JS

	hosts map[string]int
}

// Host returns the index of a host in the page's data, or one below 0.
func (p *Page) Host(name string) int {
	if i, ok := p.hosts[name]; ok {
		return i
	}
	return -1
}

// Looked returns how many of the oracles had anything to judge.
func (p *Page) Looked() (n int) {
	for _, o := range p.Oracles {
		if o.Checks > 0 {
			n++
		}
	}
	return n
}

// Met returns how many of the expectations came true.
func (p *Page) Met() (n int) {
	for _, m := range p.Expected {
		if m.Met {
			n++
		}
	}
	return n
}

// Page makes the page of a run that is over. Replay is the command line that runs it again.
func (c *Collector) Page(r *engine.Result, replay string, told []engine.Line) (*Page, error) {
	data := c.build(r)
	raw, err := json.Marshal(data) // Which escapes <, > and &, so that no text of a scenario ends the script.
	if err != nil {
		return nil, fmt.Errorf("make timeline: %w", err)
	}
	p := &Page{
		Scenario: r.Scenario, Summary: r.Summary, Replay: replay, Seed: r.Seed, Verdict: r.Verdict, Class: "fail",
		Virtual: short(r.Virtual), Steps: r.Stats.Steps, Hash: fmt.Sprintf("%016x", r.Hash), Told: told, NotJudged: strings.Join(r.NotJudged(), ", "),
		Violation: data.Violation, Gaps: data.Gaps, Data: template.JS(raw), // Made above.
		Open: r.Open, Failed: r.Failed, Oracles: r.Oracles, Expected: r.Eventually, hosts: map[string]int{},
	}
	for i, h := range data.Hosts {
		p.hosts[h.Name] = i
	}
	if v := data.Violation; v != nil && v.Task >= 0 {
		p.Subject = data.Tasks[v.Task]
	}
	if r.Verdict == scenario.VerdictPass {
		p.Class = "pass"
	}
	p.Style = template.CSS(look.Style + asset("page.css")) // Part of the program.
	var script strings.Builder
	script.WriteString(look.Script)
	for _, name := range scripts {
		script.WriteString(asset(name))
	}
	p.Script = template.JS(script.String()) // Part of the program.
	return p, nil
}

// Write writes the page as HTML.
func (p *Page) Write(w io.Writer) error {
	if err := page.Execute(w, p); err != nil {
		return fmt.Errorf("write timeline: %w", err)
	}
	return nil
}

// asset returns a file of the page, which there is.
func asset(name string) string {
	raw, err := files.ReadFile("page/" + name)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

// short is a duration to look at.
func short(d time.Duration) string {
	switch {
	case d > time.Minute:
		return d.Round(time.Second).String()
	case d > time.Second:
		return d.Round(10 * time.Millisecond).String()
	default:
		return d.Round(time.Microsecond).String()
	}
}
