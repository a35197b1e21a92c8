package process

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/frayrpc/fray/fray/certs"
	"github.com/frayrpc/fray/sim/check"
	"github.com/frayrpc/fray/sim/cluster"
)

// A workerHost is one of the scenario's, whose process is this same program: it runs [Work].
type workerHost struct {
	stage *stage
	name  string
	group *cluster.WorkerGroup
	// Its first start is still to come.
	awaited bool

	// Of the process that there is, or was last.
	starts int
	child  *child
	ready  chan struct{} // closed when it waits to begin
	heard  chan struct{} // closed when all that it said has been taken in
	conn   net.Conn
	// It has said that it registers; read once heard is closed.
	registered bool
}

// start starts the worker's process.
func (w *workerHost) start() error {
	files, err := w.stage.certify(w.name)
	if err != nil {
		return fmt.Errorf("start %s: %w", w.name, err)
	}
	ours, theirs, err := socketPair()
	if err != nil {
		return fmt.Errorf("start %s: %w", w.name, err)
	}
	c, err := w.stage.spawn(w.name, nil, []*os.File{theirs}, w.stage.config.Worker...)
	if err != nil {
		return errors.Join(err, ours.Close())
	}
	w.starts++
	w.child, w.conn, w.registered = c, ours, false
	ready, heard := make(chan struct{}), make(chan struct{})
	w.ready, w.heard = ready, heard
	setup := w.setup(files)
	w.stage.tasks.Go(func() { w.listen(ours, setup, ready, heard) })
	w.stage.tasks.Go(func() {
		<-c.Gone()
		<-heard
		w.stage.Post(func() {
			w.stage.FailIf(c.unexpected())
			if w.child == c && !c.killed {
				w.stage.run.Left(w.name)
			}
		})
	})
	return nil
}

// startLate is the first start of a worker that was to wait, unless the run is over by then.
func (w *workerHost) startLate() {
	if !w.awaited {
		return
	}
	w.awaited = false
	w.stage.FailIf(w.start())
}

func (w *workerHost) setup(files certs.Files) *setup {
	file, text := w.stage.run.Source()
	return &setup{
		File: file, Text: text, Group: w.group.Name, Host: w.name, Seed: w.stage.run.Seed(), Start: w.starts,
		Address: w.stage.net.of(w.stage.numbers[w.name]), Controller: w.stage.address,
		Token: w.stage.play.TokenOf(w.name), Access: w.stage.play.AccessFile(), TLS: files,
		ClockFile: w.stage.clockFile(w.name),
	}
}

// begun says whether there is a process that has got so far that it may call the controller.
func (w *workerHost) begun() bool {
	if w.child == nil {
		return false
	}
	select {
	case <-w.ready:
		return true
	default:
		return false
	}
}

// kill ends the process, if it runs, and waits until all that it said has been taken in.
func (w *workerHost) kill() {
	if w.child != nil {
		w.child.kill()
		<-w.heard
	}
}

// died notes that the process was killed.
func (w *workerHost) died() {
	<-w.heard
	if w.registered {
		w.stage.play.History().Add(check.Event{Kind: check.WorkerCrash, Host: w.name, Worker: w.name})
	}
}

// listen answers a worker's process until that ends.
func (w *workerHost) listen(conn net.Conn, setup *setup, ready, heard chan struct{}) {
	defer close(heard)
	defer conn.Close()
	s := w.stage
	encoder, decoder := gob.NewEncoder(conn), gob.NewDecoder(conn)
	// An answer that cannot be written finds the process at its end, which shows in the next
	// request.
	reply := func(a answer) { _ = encoder.Encode(a) }
	for {
		var r request
		if err := decoder.Decode(&r); err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, syscall.ECONNRESET) {
				s.Post(func() { s.FailIf(fmt.Errorf("hear %s: %w", w.name, err)) })
			}
			return
		}
		switch {
		case r.Hello:
			reply(answer{Setup: setup})
		case r.Ready != "":
			close(ready)
			select {
			case <-s.begun:
			case <-s.over.Done():
				return
			}
			s.faults.started(w.name, r.Ready)
			reply(answer{Faults: s.faults.planFor(w.name).String()})
		case r.Injected != "":
			s.Post(func() { s.run.Injected(r.Injected, 1) })
			reply(answer{})
		case r.Strike != nil:
			// Nothing else comes from the worker until it has its answer.
			s.Post(func() {
				s.strike(*r.Strike)
				reply(answer{})
			})
		case r.Poisoned:
			s.Post(func() { s.play.Poisoned(w.name) })
		case r.Metrics != nil:
			s.mu.Lock()
			for name, value := range r.Metrics { // order-free: sums
				s.metrics[name] += value
			}
			s.mu.Unlock()
			reply(answer{})
		case len(r.Events) > 0:
			for i := range r.Events {
				w.registered = w.registered || r.Events[i].Kind == check.RegisterCall
			}
			s.play.History().Add(r.Events...)
			reply(answer{})
		default:
			seq, at, call := s.play.History().Begin()
			reply(answer{Seq: seq, At: at, Call: call})
		}
	}
}

// socketPair returns two ends of a connection, one of them for another process.
func socketPair() (ours net.Conn, theirs *os.File, err error) {
	syscall.ForkLock.RLock()
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(pair[0])
		syscall.CloseOnExec(pair[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, fmt.Errorf("make socket: %w", err)
	}
	theirs = os.NewFile(uintptr(pair[1]), "worker")
	mine := os.NewFile(uintptr(pair[0]), "run")
	defer mine.Close()
	if ours, err = net.FileConn(mine); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("make socket: %w", err), theirs.Close())
	}
	return ours, theirs, nil
}
