package counter

import (
	"context"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"time"

	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/scenario"
)

//go:embed scenarios/*.yaml
var scenarios embed.FS

// Scenarios returns the scenarios about the counter.
func Scenarios() fs.FS {
	files, err := fs.Sub(scenarios, "scenarios")
	if err != nil {
		panic(err) // They are embedded under that name.
	}
	return files
}

// Facts is what expectations can say of a run.
type Facts struct {
	Additions Additions `cel:"additions" json:"additions"`
}

// Additions counts what clients asked to be added.
type Additions struct {
	Asked        int `cel:"asked" json:"asked"`
	Acknowledged int `cel:"acknowledged" json:"acknowledged"`
	Counted      int `cel:"counted" json:"counted"`
}

// sections are what files say besides what every scenario does.
type sections struct {
	scenario.Plain

	workload struct {
		Clients   int `yaml:"clients" default:"3" min:"1" max:"100" doc:"How many clients there are."`
		Additions int `yaml:"additions" default:"40" min:"1" max:"10000" doc:"How often each adds."`
	}
}

// Parts implements scenario.Sections.
func (s *sections) Parts() scenario.Parts { return scenario.Parts{Workload: &s.workload} }

// Groups implements scenario.Sections.
func (s *sections) Groups() []scenario.Group {
	server, client := "counter", "client"
	return []scenario.Group{
		{Name: &server, Role: "server", Disk: true},
		{Name: &client, Role: scenario.RoleClient, Count: s.workload.Clients},
	}
}

// Subject returns the counter as a subject of scenarios. Serve, which knows nothing of that, is all
// that its host runs.
func Subject() *engine.Subject {
	return &engine.Subject{
		Format: &scenario.Subject{
			Name:     "counter",
			Sections: func() scenario.Sections { return new(sections) },
			Facts:    new(Facts),
			Roles:    []string{"server", scenario.RoleClient},
			Usual:    "server", WithDisk: "counter",
			Invariants: []scenario.Invariant{{Name: "counted", Claim: "What was acknowledged is counted, and nothing that nobody asked for."}},
		},
		Begin: func(r *engine.Run) (engine.System, error) {
			s := &system{sections: r.Sections.(*sections), facts: new(Facts)}
			s.Blank = engine.NewBlank(r, s.facts)
			s.Audit = s.audit
			return s, nil
		},
	}
}

type system struct {
	*engine.Blank
	*sections

	facts *Facts
}

// Configure implements virtual.Configurer.
func (s *system) Configure(c *sim.Config) { c.Unmodified = true }

// Software implements engine.System.
func (s *system) Software(scenario.Host) sim.Software {
	return func(context.Context, *sim.Host) error { return Serve(":80", "/var/lib/counter") }
}

// Client implements engine.System.
func (s *system) Client(scenario.Host) engine.Work {
	return func(context.Context, engine.Machine) error {
		for range s.workload.Additions {
			s.Change(func() { s.facts.Additions.Asked++ })
			if _, err := ask("POST", "/add"); err == nil {
				s.Change(func() { s.facts.Additions.Acknowledged++ })
			}
			time.Sleep(100 * time.Millisecond)
		}
		return nil
	}
}

func (s *system) audit(context.Context, engine.Machine) error {
	n, err := ask("GET", "/count")
	if err != nil {
		return err
	}
	a := &s.facts.Additions
	s.Change(func() { a.Counted = n })
	s.Claim("counted", a.Acknowledged <= n && n <= a.Asked, "it counts %d of %d additions, %d of which were acknowledged", n, a.Asked, a.Acknowledged)
	return nil
}

// ask makes a request as any program does, and returns the number that answers it.
func ask(method, path string) (int, error) {
	req, err := http.NewRequest(method, "http://counter"+path, nil)
	if err != nil {
		return 0, err
	}
	client := http.Client{Timeout: time.Second}
	res, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	if res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s: %s", res.Status, text)
	}
	return strconv.Atoi(string(text))
}
