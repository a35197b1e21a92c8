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

// Scenarios returns the scenarios that come with the example.
func Scenarios() fs.FS {
	files, err := fs.Sub(scenarios, "scenarios")
	if err != nil {
		panic(err) // They are embedded under that name.
	}
	return files
}

// RoleServer is the role of the host that counts.
const RoleServer = "server"

// Facts is what expectations can say of a run.
type Facts struct {
	Additions Additions `cel:"additions" json:"additions" doc:"What clients asked to be added."`
}

// Additions counts additions.
type Additions struct {
	Asked        int `cel:"asked" json:"asked" doc:"Requests that were sent, those that nobody answered included."`
	Acknowledged int `cel:"acknowledged" json:"acknowledged" doc:"Requests that were answered with a sum."`
	Counted      int `cel:"counted" json:"counted" doc:"The number in the end."`
}

// Server is what files say of the host that counts.
type Server struct {
	Lazy bool `yaml:"lazy" default:"false" doc:"Whether it syncs nothing. A bug, to see it found."`
}

// Clients is what files say of those who add.
type Clients struct {
	Count     int               `yaml:"count" default:"3" min:"1" max:"100" doc:"How many there are."`
	Additions int               `yaml:"additions" default:"40" min:"1" max:"10000" doc:"How often each adds."`
	Every     scenario.Duration `yaml:"every" default:"100ms" doc:"The time between two additions of a client."`
}

// sections are the keys of a file that are the counter's own.
type sections struct {
	scenario.Plain

	topology struct {
		Server Server `yaml:"server" doc:"The host named server."`
	}
	workload struct {
		Clients Clients `yaml:"clients" doc:"The hosts client-1, client-2 and so on."`
	}
}

// Parts implements scenario.Sections.
func (s *sections) Parts() scenario.Parts {
	return scenario.Parts{Topology: &s.topology, Workload: &s.workload}
}

// Groups implements scenario.Sections.
func (s *sections) Groups() []scenario.Group {
	server, client := "server", "client"
	return []scenario.Group{
		{Name: &server, Role: RoleServer, Disk: true},
		{Name: &client, Role: scenario.RoleClient, Count: s.workload.Clients.Count},
	}
}

// Invariants.
const (
	nothingLost     = "nothing-lost"
	nothingInvented = "nothing-invented"
	neverBack       = "never-back"
)

// eventAdded is what faults can wait for.
const eventAdded = "added"

// Subject returns the counter as a subject of scenarios.
func Subject() *engine.Subject {
	return &engine.Subject{
		Format: &scenario.Subject{
			Name:     "counter",
			Sections: func() scenario.Sections { return new(sections) },
			Facts:    new(Facts),
			Roles:    []string{RoleServer, scenario.RoleClient},
			Usual:    RoleServer, WithDisk: "server",
			Events: []scenario.Word{{Name: eventAdded, Meaning: "a client is told a sum"}},
			Invariants: []scenario.Invariant{
				{Name: nothingLost, Claim: "What was acknowledged is counted."},
				{Name: nothingInvented, Claim: "Nothing is counted that nobody asked for."},
				{Name: neverBack, Claim: "What a client is told never goes back."},
			},
		},
		Begin: func(r *engine.Run) (engine.System, error) {
			s := &system{sections: r.Sections.(*sections), facts: new(Facts)} //nolint:errcheck // They are those of its format.
			s.Blank = engine.NewBlank(r, s.facts)
			s.Audit = s.audit
			return s, nil
		},
	}
}

// A system is the counter in one run.
type system struct {
	*engine.Blank
	*sections

	facts *Facts
}

// Software implements engine.System: what the server runs, each time that it starts.
func (s *system) Software(scenario.Host) sim.Software {
	return func(ctx context.Context, h *sim.Host) error {
		c, err := Open(simulated{h.Files(), s.topology.Server.Lazy})
		if err != nil {
			return err
		}
		h.Serve(c.Handler())
		<-ctx.Done()
		return nil
	}
}

// Client implements engine.System: what a client does, wherever the run takes place.
func (s *system) Client(scenario.Host) engine.Work {
	return func(ctx context.Context, m engine.Machine) error {
		clients, last := &s.workload.Clients, 0
		random := m.Rand("pace")
		for range clients.Additions {
			s.Change(func() { s.facts.Additions.Asked++ })
			if n, err := ask(ctx, m, http.MethodPost, "/add"); err == nil {
				s.Change(func() { s.facts.Additions.Acknowledged++ })
				s.Happen(m.Name(), eventAdded)
				s.Claim(neverBack, n > last, "%s was told %d, and now %d", m.Name(), last, n)
				last = n
			}
			pause := time.Duration(clients.Every) + time.Duration(random.Int64N(int64(engine.Jitter)))
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return nil
			}
		}
		return nil
	}
}

// audit asks in the end what the number is.
func (s *system) audit(ctx context.Context, m engine.Machine) error {
	n, err := ask(ctx, m, http.MethodGet, "/count")
	if err != nil {
		return err
	}
	a := &s.facts.Additions
	s.Change(func() { a.Counted = n })
	s.Claim(nothingLost, n >= a.Acknowledged, "%d were acknowledged, and the number is %d", a.Acknowledged, n)
	s.Claim(nothingInvented, n <= a.Asked, "%d were asked for, and the number is %d", a.Asked, n)
	return nil
}

// ask makes a request and returns the number that answers it.
func ask(ctx context.Context, m engine.Machine, method, path string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://server"+path, http.NoBody)
	if err != nil {
		return 0, err
	}
	res, err := m.Client().Do(req)
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
