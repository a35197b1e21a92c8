package integration_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/frayrpc/fray/fray/access"
	"github.com/frayrpc/fray/fray/store/pgstore/pgtest"
	"github.com/frayrpc/fray/integration/tasks"
)

const (
	// mapEvery is how long a mapper waits until it gives its command the next input.
	mapEvery = 50 * time.Millisecond
	// mapMore is how many of its outputs show that it goes on.
	mapMore = 10
)

// mapper is a client process under load: "fray map", which gets inputs until it is finished, and
// executes a command for each.
type mapper struct {
	*process

	ledger string
	given  int
	stop   chan struct{}
	gives  sync.WaitGroup
}

// startMapper starts a client process of the commit that the cluster starts processes from.
func startMapper(c *cluster) *mapper {
	c.t.Helper()
	m := &mapper{ledger: c.path("mapped"), stop: make(chan struct{})}
	in, out, err := os.Pipe()
	if err != nil {
		c.t.Fatal(err)
	}
	// The standard input of what the suite starts is its own.
	m.process = newProcess(c.t, "map", "sh", "-c", `exec "$0" "$@" <&3`, c.from.path(c.t, "fray"), "map", "--controller", c.url(), "--no-progress", "--max-worker-losses", "0",
		"--", "sh", "-c", `echo "$1" >>"$2"; echo "$1"`, "sh", "{}", m.ledger)
	m.cmd.Env = commandVariables(access.Client)
	m.cmd.ExtraFiles = []*os.File{in}
	m.launch()
	_ = in.Close() // The process has one of its own.
	m.gives.Go(func() { m.give(out) })
	c.t.Cleanup(m.giveNoMore)
	return m
}

// give writes one input after the other.
func (m *mapper) give(out io.WriteCloser) {
	tick := time.NewTicker(mapEvery)
	defer tick.Stop()
	defer out.Close()
	for {
		select {
		case <-m.stop:
			return
		case <-tick.C:
		}
		if _, err := fmt.Fprintln(out, m.given); err != nil {
			m.t.Errorf("give the mapper its next input: %v", err)
			return
		}
		m.given++
	}
}

func (m *mapper) giveNoMore() {
	select {
	case <-m.stop:
	default:
		close(m.stop)
	}
	m.gives.Wait()
}

// outputs returns what the commands have printed, in the order of the inputs.
func (m *mapper) outputs() []string {
	text, err := os.ReadFile(m.out)
	if err != nil {
		m.t.Fatal(err)
	}
	return strings.Fields(string(text))
}

// goesOn waits until more commands have ended.
func (m *mapper) goesOn() {
	m.t.Helper()
	before := len(m.outputs())
	eventually(m.t, "fray map prints more", func() bool { return len(m.outputs()) >= before+mapMore || !m.Running() })
}

// finish gives it no more inputs, and checks that each was executed once, and told of.
func (m *mapper) finish() {
	m.t.Helper()
	m.giveNoMore()
	if code := m.exit(); code != 0 {
		m.t.Errorf("fray map ends with %d", code)
	}
	outputs := m.outputs()
	for i, text := range outputs {
		if text != strconv.Itoa(i) {
			m.t.Fatalf("output %d of fray map is that of input %s", i, text)
		}
	}
	executed, err := os.ReadFile(m.ledger)
	if err != nil {
		m.t.Fatal(err)
	}
	if n := strings.Count(string(executed), "\n"); len(outputs) != m.given || n != m.given {
		m.t.Errorf("of %d inputs fray map told of %d, and %d commands were executed", m.given, len(outputs), n)
	}
}

// rollout replaces the processes of a cluster by those of another commit, one after the other, under load.
type rollout struct {
	*cluster

	t           *testing.T
	controllers []func() // each replaces one
	workers     []*process
	execs       []*process
	load        *load
	mapper      *mapper
}

const (
	rolloutWorkers = 2
	rolloutExecs   = 2
)

// startRollout starts workers and clients of the commit that the cluster was started from, and a client
// that is of this one.
func startRollout(t *testing.T, c *cluster, controllers ...func()) *rollout {
	t.Helper()
	programs.path(t, "fray") // They are built before anything waits for them.
	r := &rollout{cluster: c, t: t, controllers: controllers}
	for i := range rolloutWorkers {
		r.workers = append(r.workers, r.worker("w"+strconv.Itoa(i), "--slots", "4", "--drain-grace", "10s"))
	}
	for i := range rolloutExecs {
		r.execs = append(r.execs, r.exec("x"+strconv.Itoa(i)))
	}
	r.load = startLoad(t, c)
	r.mapper = startMapper(c)
	return r
}

// exec starts a worker that executes commands.
func (r *rollout) exec(id string) *process {
	r.t.Helper()
	args := []string{"worker", "--controller", r.url(), "--id", id, "--slots", "2", "--allow-exec", "--exec-cgroup", "off", "--without-authentication"}
	p := newProcess(r.t, id, r.from.path(r.t, "fray"), secured(false, args...)...).launch()
	r.awaitWorker(id)
	return p
}

// step replaces a process, and waits until all goes on.
func (r *rollout) step(what string, replace func()) {
	r.t.Helper()
	began := time.Now()
	replace()
	replaced := time.Since(began)
	r.goesOn()
	r.t.Logf("replaced %s within %v, and all went on after %v", what, replaced.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
}

// goesOn waits until all clients were told more.
func (r *rollout) goesOn() {
	r.t.Helper()
	r.load.goesOn()
	r.mapper.goesOn()
}

// leave asks a process to end, and waits until it has.
func leave(p *process) {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != 0 {
		p.t.Errorf("%s exits with %d on SIGTERM", p.name, code)
	}
}

// replaceControllers replaces all controllers by those of a commit. A task that runs meanwhile goes on.
func (r *rollout) replaceControllers(by *builder) {
	r.t.Helper()
	r.from = by
	ctx := newLastingClient(r.context(), r.t, r.url())
	h := r.hold()
	held := run(ctx, r.t, tasks.Held, h)
	r.awaitHeld(held.ID(), h)
	for _, replace := range r.controllers {
		r.step("a controller", replace)
	}
	r.open(h)
	get(ctx, r.t, held)
	r.wantCharges(held.ID(), 1, 0, 0)
}

// replaceWorkers replaces all workers by those of a commit.
func (r *rollout) replaceWorkers(by *builder) {
	r.t.Helper()
	r.from = by
	for i, w := range r.workers {
		r.step("worker "+w.name, func() {
			leave(w)
			r.workers[i] = r.worker(w.name, "--slots", "4", "--drain-grace", "10s")
		})
	}
	for i, w := range r.execs {
		r.step("worker "+w.name, func() {
			leave(w)
			r.execs[i] = r.exec(w.name)
		})
	}
}

// replaceClient has the client process be of a commit.
func (r *rollout) replaceClient(by *builder) {
	r.t.Helper()
	r.from = by
	r.step("the client", func() {
		r.mapper.finish()
		r.mapper = startMapper(r.cluster)
	})
}

// end ends the clients, and checks that nothing was lost, came twice, was repeated or was charged.
func (r *rollout) end() {
	r.t.Helper()
	r.mapper.finish()
	r.load.end()
	r.load.lookBack() // At all, which is less than a controller forgets.
	if charged, again := r.load.judge("replaced all processes"); charged+again > 0 {
		r.t.Error("what a process left was not handed over")
	}
}

// refusal is how a controller says that its store is of another version.
var refusal = regexp.MustCompile(`format \d+, written by a newer Fray|they have format \d+, and this Fray has format \d+`)

// wantRefusal checks that a process that did not start said that the store is of another version.
func wantRefusal(p *process) {
	p.t.Helper()
	p.exit()
	log, err := os.Open(p.err)
	if err != nil {
		p.t.Fatal(err)
	}
	defer log.Close()
	for lines := bufio.NewScanner(log); lines.Scan(); {
		if refusal.MatchString(lines.Text()) {
			p.t.Logf("there is no way back: %s", lines.Text())
			return
		}
	}
	p.t.Error("the earlier controller does not start, and does not say that the store is of another version")
}

// All processes of a cluster with a database are replaced by those of this commit, one after the other,
// and by those of the earlier one again, under load: nothing is lost, comes twice or is charged.
func TestUpgradeOfSeveralControllers(t *testing.T) {
	t.Parallel()
	needPrevious(t)
	server := pgtest.Start(t)
	l := newLeadersFrom(t, &previous, server.URL(), 2)
	replace := func(leads bool) func() {
		return func() {
			i := l.leader()
			if !leads {
				i = 1 - i
			}
			leave(l.members[i])
			l.restart(i)
		}
	}
	// First the one that stands by, then the one that leads, so that it hands over to the other.
	r := startRollout(t, l.cluster, replace(false), replace(true))
	r.goesOn()
	r.replaceControllers(&programs)
	r.replaceWorkers(&programs)
	r.replaceClient(&programs)

	earlier := tryProcess(t, "earlier", previous.path(t, "fray"), append(l.args, "--listen", "127.0.0.1:0")...)
	if earlier.url == "" {
		wantRefusal(earlier)
		r.end()
		return
	}
	leave(earlier)
	r.replaceWorkers(&previous)
	r.replaceControllers(&previous)
	r.replaceClient(&previous)
	r.end()
}

// So it is with one controller and its data directory.
func TestUpgradeOfOneController(t *testing.T) {
	t.Parallel()
	needDirectory(t)
	needPrevious(t)
	c := newClusterFrom(t, &previous, "--listen", "127.0.0.1:"+freePort(t), "--data-dir", t.TempDir())
	r := startRollout(t, c, func() {
		leave(c.controller)
		c.reborn()
	})
	r.goesOn()
	r.replaceControllers(&programs)
	r.replaceWorkers(&programs)
	r.replaceClient(&programs)

	leave(c.controller)
	r.from = &previous
	earlier := tryProcess(t, "earlier", previous.path(t, "fray"), append(c.args, "--listen", host(c.url()))...)
	if earlier.url == "" {
		wantRefusal(earlier)
		r.from = &programs
		c.reborn()
		r.end()
		return
	}
	c.controller = earlier
	r.goesOn()
	r.replaceWorkers(&previous)
	r.replaceClient(&previous)
	r.end()
}
