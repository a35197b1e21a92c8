package integration_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/frayrpc/fray/fray/store/pgstore/pgtest"
)

const (
	// leaderKillsVariable says how often the leader is lost, and databaseFailoversVariable how often the
	// primary of its database. make leaders sets them.
	leaderKillsVariable       = "FRAY_LEADER_KILLS"
	databaseFailoversVariable = "FRAY_DATABASE_FAILOVERS"
	// leadersRetention is how long what has ended is known. It is long beside two faults, after which
	// nothing is asked for again, and short beside all of them, so that the last leader does not take over
	// more than the first.
	leadersRetention = 5 * time.Minute
)

// databases are a primary and its synchronous standby.
type databases struct {
	primary, standby *pgtest.Server
	names            map[*pgtest.Server]string
}

func newDatabases(t *testing.T) *databases {
	t.Helper()
	d := &databases{primary: pgtest.Start(t)}
	d.standby = d.primary.Follow(t, "db2")
	d.names = map[*pgtest.Server]string{d.primary: "db1", d.standby: "db2"}
	return d
}

// url has both of them. It stays what it is, whichever is the primary.
func (d *databases) url() string {
	return fmt.Sprintf("postgres://fray@%s,%s/postgres?sslmode=disable&target_session_attrs=read-write", d.primary.Address(), d.standby.Address())
}

// lose kills the primary, and returns once none of its processes is left.
func (d *databases) lose(t *testing.T) {
	t.Helper()
	if err := d.primary.Stop(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// promote makes the standby the primary.
func (d *databases) promote(t *testing.T) {
	t.Helper()
	d.primary, d.standby = d.standby, d.primary
	if err := d.primary.Promote(); err != nil {
		t.Fatal(err)
	}
}

// rejoin makes the one that was lost the other's standby.
func (d *databases) rejoin(t *testing.T) {
	t.Helper()
	if err := d.standby.FollowAnew(d.primary, d.names[d.standby]); err != nil {
		t.Fatal(err)
	}
}

// failover is what is done to a cluster under load.
type failover struct {
	*leaders

	t         *testing.T
	databases *databases
	probe     *probe
	gaps      gaps
}

// faultsOfLeaders are what happens to leaders, by turns: two are killed for one that is put to sleep.
var faultsOfLeaders = []func(*failover){(*failover).kill, (*failover).kill, (*failover).pause}

// gap has something happen and notes how long it takes from then until a call is answered that began
// after it had happened.
func (f *failover) gap(what string, happen, then func()) {
	f.t.Helper()
	began := time.Now()
	happen()
	answered := f.probe.next()
	then()
	f.gaps.add(what, answered().Sub(began))
}

// kill kills the leader, and starts it again once another leads.
func (f *failover) kill() {
	i := f.leader()
	f.gap("leader killed", f.members[i].kill, func() {})
	f.restart(i)
}

// pause has the leader stand still until another leads. It does not know then that it does not.
func (f *failover) pause() {
	i := f.leader()
	f.gap("leader paused", f.members[i].pause, func() {})
	f.members[i].resume()
}

// failOver kills the primary, and promotes the standby.
func (f *failover) failOver() {
	f.gap("database failed over", func() { f.databases.lose(f.t) }, func() { f.databases.promote(f.t) })
	f.databases.rejoin(f.t)
}

// The leader is killed, or put to sleep, and the primary of its database is killed and replaced by its
// standby, again and again under load. What any leader has acknowledged all know for ever, and nobody
// is told two ends of one task.
func TestLeaderIsKilledUnderLoad(t *testing.T) {
	t.Parallel()
	kills, failovers := timesOr(t, leaderKillsVariable, 4), timesOr(t, databaseFailoversVariable, 1)
	f := &failover{t: t, databases: newDatabases(t), gaps: gaps{}}
	f.leaders = newLeaders(t, f.databases.url(), 3, "--retention", leadersRetention.String())
	for i := range 3 {
		f.worker("w"+strconv.Itoa(i), "--slots", "4")
	}
	f.probe = startProbe(t, f.url())
	epoch := f.incarnation()
	l := startLoad(t, f.cluster)
	began := time.Now()
	all := kills + failovers
	for n, done := 0, 0; n < all && !t.Failed(); n++ {
		l.goesOn()
		f.wantRunning()
		outage(t, time.Duration(rand.Int64N(int64(300*time.Millisecond))))
		// Those of the database are as far from each other as can be.
		if ((n+1)*failovers+all/2)/all > done {
			done++
			f.failOver()
		} else {
			faultsOfLeaders[(n-done)%len(faultsOfLeaders)](f)
			now := f.incarnation()
			if now <= epoch {
				t.Errorf("the incarnation is %d after %d", now, epoch)
			}
			epoch = now
		}
		l.lookBack()
		if kills > 10 && n%10 == 0 {
			t.Logf("%v: %d faults, %d results", time.Since(began).Round(time.Second), n+1, l.heard())
		}
	}
	f.gaps.tell(t)
	l.end()
	l.lookBack()
	l.judge(fmt.Sprintf("%d leaders lost and %d primaries, in %v", kills, failovers, time.Since(began).Round(time.Second)))
}
