package live

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/frayrpc/fray/faults"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/scenario"
)

// DefaultMaxWall is how long a run takes at most unless its Config says otherwise.
const DefaultMaxWall = 5 * time.Minute

// Config says where a cluster is, and how its hosts are struck. Hosts is required.
type Config struct {
	// Hosts has the base URL of each server of the scenario, at which clients call it and which
	// serves faults.v1.FaultService.
	Hosts map[string]string
	// Token is shown to the fault services as a bearer token. "": none is.
	Token string
	// Crash, Start, Pause and Resume are command lines for sh that do it to the host whose name is
	// in the variable FRAY_HOST. "": it cannot be done. Stop has the host end by itself, and returns
	// when it has; how many seconds that may take is in the variable FRAY_GRACE. Then it is crashed.
	Crash, Start, Pause, Resume, Stop string
	// Environ is the environment of the commands.
	Environ []string
	// MaxWall is how long a run may take. 0: DefaultMaxWall.
	MaxWall time.Duration
}

// Run runs a scenario of a subject under one seed. An error is a [*scenario.UnsuitableError] if the
// scenario asks for what cannot be done to a cluster that runs. Otherwise it says that there was no
// run, or that ctx ended it.
func Run(
	ctx context.Context, of *engine.Subject, s *scenario.Scenario, seed uint64, options engine.Options, config Config,
) (*engine.Result, error) {
	if err := Suitable(of, s, config); err != nil {
		return nil, err
	}
	config.MaxWall = cmp.Or(config.MaxWall, DefaultMaxWall)
	options.MaxTime = config.MaxWall
	return engine.RunOn(ctx, of, s, seed, options, scenario.BackendLive,
		func(run *engine.Run) (engine.Backend, func() error, error) {
			stage, err := open(ctx, run, config)
			if err != nil {
				return nil, nil, err
			}
			return stage, stage.close, nil
		})
}

// Suitable returns why a scenario cannot run against the cluster, or nil: an error of the config,
// or a [*scenario.UnsuitableError]. It does not look at the scenario's run.backends.
func Suitable(of *engine.Subject, s *scenario.Scenario, config Config) error {
	if of.NotLive != "" {
		return unsuitable("%s", of.NotLive)
	}
	var servers []string
	for _, h := range s.Hosts() {
		if h.Role == scenario.RoleClient {
			continue
		}
		servers = append(servers, h.Name)
		text, ok := config.Hosts[h.Name]
		if !ok {
			return fmt.Errorf("nobody says where the host %s of the scenario is: give its URL", h.Name)
		}
		if u, err := url.Parse(text); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("host %s: %q is no base URL: write one such as http://10.0.0.7:8080", h.Name, text)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(config.Hosts)) {
		if !slices.Contains(servers, name) {
			return scenario.Complain("the scenario has no host %q to be found at %s", name, config.Hosts[name]).SuggestName(name, servers)
		}
	}
	maxWall := cmp.Or(config.MaxWall, DefaultMaxWall)
	switch normal := scenario.DefaultLatency(); {
	case maxWall <= 0 || maxWall > faults.MaxWait:
		return fmt.Errorf("a run of at most %v is not between 0 and %v", maxWall, faults.MaxWait)
	case s.Topology.Network.Loss > 0:
		return unsuitable("topology.network.loss is for simulated links; write a fault that drops messages")
	case s.Topology.Network.Latency != normal:
		return unsuitable("topology.network.latency is for simulated links; write a fault that delays messages")
	case s.HealAt() >= maxWall:
		return unsuitable("it heals at %v, and a run may take %v in all", s.HealAt(), maxWall)
	}
	for i := range s.Faults {
		f := &s.Faults[i]
		if reason := unsuitableFault(s, f, &config); reason != "" {
			return unsuitable("fault %s %s", f.ID, reason)
		}
	}
	return nil
}

func unsuitable(format string, args ...any) error {
	return &scenario.UnsuitableError{Backend: scenario.BackendLive, Reason: fmt.Sprintf(format, args...)}
}

// unsuitableFault returns what of a fault cannot be done.
func unsuitableFault(s *scenario.Scenario, f *scenario.Fault, config *Config) string {
	switch {
	case f.Action.OnlySimulated() != "":
		return f.Action.OnlySimulated()
	case f.Action.OnClock():
		return "sets the clock of a host that is not ours"
	case f.Action.OnHost() && f.Match != nil:
		return "strikes a host in the middle of a call; let it strike at a time, or on an event"
	case f.Action.Backup != nil:
		return "has an operator make a backup, which is not to be found here"
	case f.Action.Pause != nil && (config.Pause == "" || config.Resume == ""):
		return "pauses a host, and there are no commands to pause and to resume it"
	case f.Action.Drain != nil:
		return "has an operator drain a host, which nobody here sees end: write a stop"
	case f.Action.EndsHost() && (config.Crash == "" || config.Start == ""):
		return "ends a host, and there are no commands to crash and to start it"
	case f.Action.Stop != nil && config.Stop == "":
		return "tells a host to leave, and there is no command to stop it"
	}
	for _, h := range s.Victims(f) {
		if h.Role == scenario.RoleClient {
			return "strikes the client " + h.Name + ", which has no process of its own"
		}
	}
	if f.Match == nil || f.Action.OnHost() {
		return ""
	}
	if _, err := placeOf(s, f.Rule(nil, nil, ""), hostsOf(s, f.Match.From), hostsOf(s, f.Match.To)); err != nil {
		return err.Error()
	}
	return ""
}

// hostsOf returns the names of the hosts that names may stand for; nil: all.
func hostsOf(s *scenario.Scenario, names scenario.Names) (all faults.Hosts) {
	for _, name := range names {
		all = append(all, scenario.HostNames(s.Resolve(name, s.Candidates))...)
	}
	return all
}

// A placement is where a rule is injected.
type placement struct {
	// local says that clients of this process inject it, and at are the servers that do.
	local bool
	at    []string
}

var errBetween = errors.New("concerns some of those who call a server, and servers do not know their callers' names: leave from out, or name clients only")

// placeOf returns where a rule of a fault is injected. Whoever is called sees all messages; what
// concerns clients alone, and not what a server itself does, is injected by these.
func placeOf(s *scenario.Scenario, r faults.Rule, from, to faults.Hosts) (p placement, err error) {
	for _, h := range s.Hosts() {
		if h.Role != scenario.RoleClient && (len(to) == 0 || slices.Contains(to, h.Name)) {
			p.at = append(p.at, h.Name)
		}
	}
	called := func(h scenario.Host) bool {
		return slices.ContainsFunc(s.Hosts(), func(o scenario.Host) bool { return slices.Contains(p.at, o.Name) && s.Talks(h.Role, o.Role) })
	}
	all, clients, everybody := 0, 0, true
	for _, h := range s.Hosts() {
		switch {
		case !called(h):
		case len(from) > 0 && !slices.Contains(from, h.Name):
			everybody = false
		default:
			all++
			if h.Role == scenario.RoleClient {
				clients++
			}
		}
	}
	switch side := cmp.Or(r.Side, r.Phase.Side()); {
	case side == faults.Client && clients < all:
		return p, errors.New("is of the caller's own side, and a server calls: name clients only")
	case side == faults.Client, side != faults.Server && clients == all && !everybody:
		return placement{local: true}, nil
	case !everybody:
		return p, errBetween
	case len(p.at) == 0:
		return p, errors.New("concerns messages to clients, whom nobody calls")
	}
	return p, nil
}
