package sim

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"sync/atomic"

	"github.com/frayrpc/fray/internal/chance"
	"github.com/frayrpc/fray/sim/disk"
	"github.com/frayrpc/fray/sim/order"
)

// Software is what runs on a host: a program's main function. It installs what it serves with
// [Host.Serve], calls others with [Host.Client], and goes on until ctx is done or its work is; then
// nothing serves there any longer. ctx ends with the cause ErrCrashed or ErrStopped. An error it
// returns ends the run.
type Software func(ctx context.Context, h *Host) error

// node is a host over all its incarnations.
type node struct {
	sim      *Sim
	index    int
	name     string
	hash     uint64
	software Software
	isClient bool
	done     bool // a client's software has ended
	// It may end with an error.
	supervised bool
	current    *incarnation
	count      int        // incarnations so far
	disk       any        // under Sim.mu
	files      *disk.Disk // under Sim.mu; nil: nobody has asked for it
	ported     uint16     // ports that the machine has chosen, under Sim.mu
	sockets    []*socket
	// The machine is without power: it does not even refuse.
	dark   bool
	paused bool
	clock  hostClock
	// What waits for Resume: to leave, and to be taken in.
	leaving, arriving []*packet
}

// incarnation is a host's software from a start to its end.
type incarnation struct {
	node   *node
	number int
	mark   uint64          // of its goroutines
	ctx    context.Context //nolint:containedctx // It is the software's.
	cancel context.CancelCauseFunc
	// What handlers' contexts derive from: a server that is asked to end goes on with what it
	// serves.
	serving context.Context //nolint:containedctx // As above.
	close   context.CancelCauseFunc
	labels  context.Context //nolint:containedctx // Its pprof labels mark the incarnation's goroutines.
	dead    atomic.Bool
	handler atomic.Pointer[http.Handler]
	ended   bool // the software has
	// Calls that it made and that it serves, for its end.
	out, in map[uint64]*call
	// Who listens on its ports, under Sim.mu.
	ports map[uint16]*listener
	// How often it used a connection since its death.
	used atomic.Int64
}

// Host is one incarnation of a host, as its own software sees it. Once it has crashed, its methods
// end the goroutine that calls them with runtime.Goexit, except where they say otherwise. They may
// be called by several goroutines.
type Host struct {
	inc *incarnation
}

// Host adds a host and starts its software, again after each Bounce. A name is what stands in URLs
// and appears in the trace; it panics if it is taken. Run does not wait for its software.
func (s *Sim) Host(name string, software Software) { s.add(name, software, false) }

// Client adds a host whose software has something to get done: Run goes on until that of all
// clients has ended.
func (s *Sim) Client(name string, software Software) { s.add(name, software, true) }

// Machines adds hosts without software, which Host or Client gives them later. So they have names
// and addresses before the first software starts and looks for the others; connections to them are
// refused. It panics if a name is taken.
func (s *Sim) Machines(names ...string) {
	s.control("add machine")
	for _, name := range names {
		n := &node{sim: s, index: len(s.nodes), name: name, hash: hashString(name)}
		s.mu.Lock()
		taken := s.byName[name] != nil || s.aliases[name] != nil
		if !taken {
			s.byName[name] = n
		}
		s.mu.Unlock()
		if taken || name == "" {
			panic(fmt.Sprintf("sim: host name %q is empty or taken", name))
		}
		s.nodes = append(s.nodes, n)
	}
}

func (s *Sim) add(name string, software Software, isClient bool) {
	s.control("add host")
	n := s.lookup(name)
	if n == nil || n.software != nil {
		s.Machines(name)
		n = s.lookup(name)
	}
	n.software, n.isClient = software, isClient
	if isClient {
		s.clients++
	}
	s.boot(n)
	s.settle() // One after the other, so that they cannot meet.
}

func (s *Sim) lookup(name string) *node {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byName[name]
}

func (s *Sim) mustNode(name string) *node {
	n := s.lookup(name)
	if n == nil {
		panic(fmt.Sprintf("sim: there is no host %q", name))
	}
	return n
}

// Labels of goroutines, see runtime/pprof.
const (
	labelRun         = "sim"
	labelSeed        = "sim_seed"
	labelTest        = "sim_test"
	labelHost        = "sim_host"
	labelIncarnation = "sim_incarnation"
)

// boot starts a new incarnation.
func (s *Sim) boot(n *node) {
	n.count++
	n.dark = false
	i := &incarnation{node: n, number: n.count, out: make(map[uint64]*call), in: make(map[uint64]*call)}
	i.ctx, i.cancel = context.WithCancelCause(context.Background())
	i.serving, i.close = context.WithCancelCause(context.Background())
	i.labels = pprof.WithLabels(s.labels, pprof.Labels(labelHost, n.name, labelIncarnation, strconv.Itoa(i.number)))
	i.mark = adopted(i)
	n.current = i
	s.emit(&Event{Kind: EventStart, From: n.name, Attempt: i.number})
	s.woken = true
	go i.run()
}

// run is the incarnation's first goroutine.
func (i *incarnation) run() {
	order.Adopt(i.mark)
	pprof.SetGoroutineLabels(i.labels)
	err := errGoexit
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
		n := i.node
		n.sim.park(&packet{kind: kindExit, from: n, to: n, sender: i, err: err})
	}()
	err = i.node.software(i.ctx, &Host{inc: i})
}

// exited takes in that an incarnation's software has ended.
func (s *Sim) exited(i *incarnation, err error) {
	if i.dead.Load() {
		return
	}
	i.ended = true
	s.hangUpSockets(i, false)
	s.letGo(func() { i.close(ErrStopped) })
	event := &Event{Kind: EventExit, From: i.node.name, Attempt: i.number}
	if err != nil {
		event.Code = "error"
		var panicked *PanicError
		if !i.node.supervised || errors.As(err, &panicked) {
			s.failures = append(s.failures, &SoftwareError{Host: i.node.name, Incarnation: i.number, Err: err})
		}
	}
	s.emit(event)
	if i.node.isClient && !i.node.done {
		i.node.done = true
		s.clients--
	}
}

// mustLive ends the goroutine if the incarnation is dead.
func (i *incarnation) mustLive() {
	if i.dead.Load() {
		runtime.Goexit()
	}
}

// Name returns the host's name.
func (h *Host) Name() string { return h.inc.node.name }

// Incarnation counts the starts of the host's software, from 1.
func (h *Host) Incarnation() int { return h.inc.number }

// URL returns the host's base URL, such as "http://name".
func (h *Host) URL() string { return "http://" + h.inc.node.name }

// Alive says whether the incarnation has not crashed. It never ends the goroutine.
func (h *Host) Alive() bool { return !h.inc.dead.Load() }

// Fence ends the calling goroutine if the incarnation has crashed. Software that has effects
// outside of the network and the disk, such as on what a test looks at, calls it before each.
func (h *Host) Fence() { h.inc.mustLive() }

// Serve installs what answers requests to this host, whatever their port. Until then, and once the
// software has ended, connections are refused. Handlers run on goroutines of their own, with a
// context that ends with the call, or the incarnation.
func (h *Host) Serve(handler http.Handler) {
	h.inc.mustLive()
	h.inc.handler.Store(&handler)
}

// Rand returns the incarnation's source of randomness of that name, from its beginning. Different
// names, hosts and incarnations are independent of each other. The source may be used by one
// goroutine at a time.
func (h *Host) Rand(name string) *rand.Rand {
	n := h.inc.node
	return n.sim.rand(forSoftware, chance.Mix(hashString(name))^n.hash, uint64(h.inc.number)) //nolint:gosec // Counts from 1.
}

// Do has f called by the goroutine that steps, once everything that happens at this instant is
// over, and waits for it. f may call the verbs. Two calls from one host at one instant come in any
// order.
func (h *Host) Do(f func()) {
	h.inc.mustLive()
	n := h.inc.node
	p := &packet{kind: kindControl, from: n, to: n, sender: h.inc, fn: f, done: make(chan struct{})}
	n.sim.park(p)
	<-p.done
	h.inc.mustLive()
}

// Disk returns what was given to SetDisk last, by this incarnation or an earlier one, unless the
// disk was lost since. It is nil at first.
func (h *Host) Disk() any {
	h.inc.mustLive()
	s := h.inc.node.sim
	s.mu.Lock()
	defer s.mu.Unlock()
	return h.inc.node.disk
}

// SetDisk puts a value where the host's next incarnation finds it. See [Crasher].
func (h *Host) SetDisk(disk any) {
	h.inc.mustLive()
	s := h.inc.node.sim
	s.mu.Lock()
	defer s.mu.Unlock()
	h.inc.node.disk = disk
}

// Files returns the host's disk of files, which each incarnation finds as the last one's crash has
// left it. Where goroutines follow the seed, and Config.Unmodified says so, package os uses it.
func (h *Host) Files() *disk.Disk {
	h.inc.mustLive()
	return h.inc.node.ownFiles()
}

// Files returns the disk of files of a host, for a test that looks at it, or does something to it,
// between steps.
func (s *Sim) Files(host string) *disk.Disk {
	s.control("files")
	return s.mustNode(host).ownFiles()
}

func (n *node) ownFiles() *disk.Disk {
	n.sim.mu.Lock()
	defer n.sim.mu.Unlock()
	if n.files == nil {
		n.files = disk.New()
		if err := n.files.MkdirAll(os.TempDir(), fs.ModePerm); err != nil {
			panic(err) // There is nothing in the way.
		}
	}
	return n.files
}

// Crasher is a disk that knows what a crash leaves of it. One that is not a Crasher is handed on as
// it is, and then a dead incarnation's goroutines could still write to it.
type Crasher interface {
	// AfterCrash returns what the next incarnation finds: without power loss, everything that was
	// written, and with it, what was synced and by chance some of the rest. What the receiver is
	// told from now on must not reach it.
	AfterCrash(powerLoss bool, chance *rand.Rand) any
}
