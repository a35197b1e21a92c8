package system

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/store/lead"
	"github.com/frayrpc/fray/internal/chance"
	"github.com/frayrpc/fray/internal/sleep"
	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/check"
	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/cluster/database"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/scenario"
)

// shared is the database of controllers that share one, and what is known of it.
type shared struct {
	server *database.Server // of the host's last incarnation
	disk   *database.Disk
	wrong  *wrong
	// The seat as it was seen to change last, and how often a standby took over.
	seat      lead.Seat
	failovers uint64
}

// isShared says whether controllers share a database.
func (s *System) isShared() bool { return s.Topology.Controller.Store == cluster.StoreShared }

// isController says whether a host is that of a controller.
func (s *System) isController(host string) bool {
	return slices.ContainsFunc(s.HostsOf(cluster.RoleController), func(h scenario.Host) bool { return h.Name == host })
}

// ControllerURL is where clients and workers call the controller: all addresses, if there are several.
func (s *System) ControllerURL() string {
	var urls []string
	for _, h := range s.HostsOf(cluster.RoleController) {
		urls = append(urls, "http://"+h.Name)
	}
	return strings.Join(urls, ",")
}

// firstURL is that of the first controller, for those who find the one that they call by themselves.
func (s *System) firstURL() string { return "http://" + s.HostsOf(cluster.RoleController)[0].Name }

// member is the software of a controller that shares a database.
func (s *System) member(ctx context.Context, h *sim.Host) error {
	m, err := controller.NewMember(s.controllerConfig(h), lead.Config{
		Database: &database.Client{HTTP: h.Client(), URL: "http://" + cluster.DatabaseHost, Host: h.Name()},
		Holder:   lead.Holder{ID: fmt.Sprintf("%s.%d", h.Name(), h.Incarnation()), Address: h.URL()},
		// Most of what is read comes from the database, and some of it does not.
		RecentBytes: 2 << 10,
	})
	if err != nil {
		return fmt.Errorf("make controller: %w", err)
	}
	if err := s.serve(h, m.Handler); err != nil {
		return err
	}
	return m.Run(ctx)
}

// database is the software of the database.
func (s *System) database(ctx context.Context, h *sim.Host) error {
	disk, ok := h.Disk().(*database.Disk)
	if !ok {
		disk = database.NewDisk(firstIncarnation)
		h.SetDisk(disk)
	}
	latency := time.Duration(s.Topology.Controller.SyncLatency)
	s.mu.Lock()
	if s.shared.wrong == nil {
		s.shared.wrong = newWrong()
	}
	broken := s.shared.wrong
	s.mu.Unlock()
	server := database.NewServer(database.Config{
		Disk: disk, Seed: s.run.Seed(), Full: broken.full.Load, Fails: broken.fails,
		Sync: func(seat lead.Seat) {
			s.Happen(cluster.EventCommitWritten)
			jitter := chance.Mix(chance.Mix(chance.Mix(s.run.Seed()^seat.Epoch)^seat.Commits)^seat.Beats) % uint64(engine.Jitter)
			s.syncs(ctx, latency+time.Duration(broken.slow.Load())+time.Duration(jitter))
			s.Happen(cluster.EventCommitSynced)
		},
		Observe: s.seatChanged,
	})
	s.mu.Lock()
	s.shared.server, s.shared.disk = server, disk
	s.mu.Unlock()
	h.Serve(server)
	<-ctx.Done()
	return nil
}

// syncs lets time pass to an instant at which no message arrives, unless the host crashes.
func (s *System) syncs(ctx context.Context, d time.Duration) {
	if (s.run.Elapsed()+d)%2 == 0 {
		d++
	}
	_ = sleep.For(ctx, d)
}

// seatChanged takes in what happens to the seat. Once another leads, what the one before has told, and
// not kept, is gone, as after a crash.
func (s *System) seatChanged(c database.Change) {
	s.mu.Lock()
	before := s.shared.seat
	s.shared.seat = c.Seat
	s.mu.Unlock()
	if before.Holder.Address != "" && c.Seat.Epoch > before.Epoch {
		s.history.Crash(hostOf(before.Holder))
		s.tally.change(func(f *cluster.Facts) { f.Hosts.Elections++ })
	}
	if c.Seat.Epoch > before.Epoch && c.Seat.Holder.Address != "" {
		s.history.Add(check.Event{Kind: check.LeadTaken, Host: hostOf(c.Seat.Holder), Incarnation: c.Seat.Epoch})
	}
	if c.Kind == database.Committed {
		s.history.Add(check.Event{Kind: check.LeadCommit, Host: c.Host, Incarnation: c.Epoch})
	}
}

// hostOf returns the host of a leader.
func hostOf(h lead.Holder) string { return strings.TrimPrefix(h.Address, "http://") }

// leader returns the host that leads, or led last; the first controller, if none has.
func (s *System) leader() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if host := hostOf(s.shared.seat.Holder); host != "" {
		return host
	}
	return s.HostsOf(cluster.RoleController)[0].Name
}

// leads says whether a controller has the seat of the database, as far as that goes.
func (s *System) leads(host string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.shared.seat.Vacant && hostOf(s.shared.seat.Holder) == host
}

// Failover implements engine.Standbys.
func (s *System) Failover(_ string, lingers bool) {
	s.mu.Lock()
	s.shared.failovers++
	server, n := s.shared.server, s.shared.failovers
	s.mu.Unlock()
	if server == nil {
		return
	}
	stays := func(string) bool { return false }
	if lingers {
		stays = func(host string) bool { return chance.New(s.run.Seed(), "side/"+host, n).IntN(2) == 0 }
	}
	server.Failover(chance.New(s.run.Seed(), "failover", n), stays)
}

// Rejoin implements engine.Standbys.
func (s *System) Rejoin(string) {
	s.mu.Lock()
	server := s.shared.server
	s.mu.Unlock()
	if server != nil {
		server.Rejoin()
	}
}

// caller is what somebody who is no client of package fray calls the controller with.
func (s *System) caller(m engine.Machine) connect.HTTPClient { return s.finds(m, s.leader) }

// wanderer is that of one who asks whichever controller comes to mind, and hears it say what it knows.
func (s *System) wanderer(m engine.Machine, random *rand.Rand) connect.HTTPClient {
	all := s.HostsOf(cluster.RoleController)
	return s.finds(m, func() string {
		if len(all) == 1 {
			return all[0].Name
		}
		return all[random.IntN(len(all))].Name
	})
}

// finds has each call go to the controller that a function names then.
func (s *System) finds(m engine.Machine, controller func() string) connect.HTTPClient {
	if len(s.HostsOf(cluster.RoleController)) == 1 {
		return m.Client()
	}
	return doer(func(r *http.Request) (*http.Response, error) {
		like := *r
		there := *r.URL
		there.Host = controller()
		like.URL, like.Host = &there, ""
		return m.Client().Do(&like)
	})
}

type doer func(*http.Request) (*http.Response, error)

// Do implements connect.HTTPClient.
func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }
