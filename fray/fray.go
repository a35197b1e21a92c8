package fray

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/internal/dial"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/internal/endpoint"
)

// remote is the fray backend. A submitter sends calls to the controller, many at a time, and another one those of
// actors, in their order; a watcher
// is told, by one long poll, of all that have ended; a fetcher asks for what the watcher is not
// told; a tracker stands between them. A finder asks for tasks that were submitted elsewhere. Whatever the controller or the network does, an acknowledged
// call stays open until it is known how it ended.
type remote struct {
	link
	owned     *http.Client // its connections are closed with the backend; nil: the caller's client is used
	tracker   *tracker
	submitter *submitter
	mailer    *submitter // of the calls of actors
	fetcher   *fetcher
	finder    *finder
	watcher   *watcher
	end       context.CancelFunc // ends the goroutines of the parts
	running   *sync.WaitGroup    // those goroutines
}

// link is how the parts of a remote backend reach the controller.
type link struct {
	jc      *JobContext
	client  frayv1connect.ControllerServiceClient
	outages *outages
	spawn   func(func(context.Context)) // has the backend run and end a goroutine
	// bind has a context end with the backend, too, which waits for its end. It must not be called
	// once the backend is shut down.
	bind func(context.Context) (bound context.Context, end func())
}

func newRemote(ctx context.Context, jc *JobContext, config jobConfig) (*remote, error) {
	address, err := endpoint.Parse(config.address)
	if err != nil {
		return nil, err
	}
	client, owned, err := dial.Controller(config.target(address), config.clientOptions...)
	if err != nil {
		return nil, err
	}
	ctx, end := context.WithCancel(ctx)
	b := &remote{owned: owned, tracker: newTracker(), end: end, running: new(sync.WaitGroup)}
	b.link = link{
		jc:      jc,
		client:  client,
		outages: &outages{address: address, logger: jc.logger.With("job_id", jc.jobID)},
		spawn:   func(f func(context.Context)) { b.running.Go(func() { f(ctx) }) },
		bind: func(caller context.Context) (context.Context, func()) {
			b.running.Add(1)
			bound, cancel := context.WithCancel(caller)
			stop := context.AfterFunc(ctx, cancel)
			return bound, func() {
				stop()
				cancel()
				b.running.Done()
			}
		},
	}
	b.fetcher = newFetcher(b.link, b.tracker)
	b.finder = &finder{link: b.link}
	b.watcher = newWatcher(b.link, b.tracker, b.fetcher)
	b.submitter = newSubmitter(b.link, b.tracker, b.watcher, maxLanes)
	b.mailer = newSubmitter(b.link, b.tracker, b.watcher, callLanes)
	return b, nil
}

// do calls the controller, again and again while that may help. The call transfers so many bytes.
func (l link) do(ctx context.Context, procedure string, bytes int64, call func(context.Context) error) error {
	return l.doFor(ctx, procedure, bytes, 0, call)
}

// doFor is do for a call that the controller may take a while to answer.
func (l link) doFor(ctx context.Context, procedure string, bytes int64, wait time.Duration, call func(context.Context) error) error {
	answer := wait + dial.Allow(0, int(bytes)) // within: a batch fits
	policy := dial.Policy{AttemptTimeout: dial.DefaultAttemptTimeout + answer, Rand: l.jc.rand}
	return l.outages.do(ctx, procedure, policy, answer, call)
}

// ask calls the controller, again and again while that may help, for an answer that may have been
// lost: its wait is over, and the patience of the attempt, so that it is soon asked for again; with
// each attempt patience doubles, for the sake of slow links.
func (l link) ask(ctx context.Context, procedure string, wait func(attempt int) time.Duration, first time.Duration, call func(context.Context, time.Duration) error) error {
	n := 0
	policy := dial.Policy{AttemptTimeout: wait(0) + max(first, longestAnswer), Rand: l.jc.rand}
	return l.outages.do(ctx, procedure, policy, wait(0)+dial.Allow(0, maxListBytes), func(ctx context.Context) error {
		wait := wait(n)
		own, cancel := context.WithTimeout(ctx, wait+patience(first, n))
		defer cancel()
		n++
		err := call(own, wait)
		if err != nil && own.Err() != nil && ctx.Err() == nil {
			return connect.NewError(connect.CodeDeadlineExceeded, err) // Whatever the transport made of it.
		}
		return err
	})
}

// noWait is the wait of calls that are answered at once.
func noWait(int) time.Duration { return 0 }

// fork returns a source of randomness of its own, for a goroutine that draws whenever it likes:
// what it draws changes nothing for the others.
func (l link) fork() *dial.Rand {
	return dial.NewRand(rand.New(rand.NewPCG(l.jc.rand.Uint64(), l.jc.rand.Uint64())))
}

func (b *remote) submit(ctx context.Context, calls []*call) {
	if len(calls) > 0 && calls[0].actor != "" { // They are of one Run or RunAll.
		b.mailer.submit(ctx, calls)
		return
	}
	b.submitter.submit(ctx, calls)
}

func (b *remote) find(c *call) { b.finder.find(c) }

// share implements backend: a controller knows all tasks.
func (*remote) share(*call) {}

func (b *remote) cancel(ctx context.Context, calls []*call, config cancelConfig) error {
	if config.dependants { // They may be in this process.
		for _, c := range calls {
			c.cascades.Store(true)
		}
	}
	var lost []string
	for some := range slices.Chunk(calls, maxAsked) {
		ids := make([]string, len(some))
		for i, c := range some {
			ids[i] = c.id
		}
		var res *frayv1.CancelTasksResponse
		err := b.do(ctx, "CancelTasks", 0, func(ctx context.Context) (err error) {
			res, err = b.client.CancelTasks(ctx, &frayv1.CancelTasksRequest{TaskIds: ids, WithDependants: config.dependants})
			return err
		})
		if err != nil {
			return err
		}
		verdicts := res.GetVerdicts()
		if len(verdicts) != len(ids) {
			return fmt.Errorf("controller answered with %d verdicts for %d tasks", len(verdicts), len(ids))
		}
		for i, id := range ids {
			switch verdicts[i] {
			case frayv1.CancelVerdict_CANCEL_VERDICT_NOT_FOUND, frayv1.CancelVerdict_CANCEL_VERDICT_REFUSED: // Another's has its id by now.
				lost = append(lost, id)
			}
		}
	}
	if len(lost) > 0 {
		b.fetcher.ask(lost) // the futures have to end, too
		b.finder.ask(lost)
		return ErrTaskLost
	}
	return nil
}

func (b *remote) cancelAll(ctx context.Context, config cancelConfig) error {
	return b.do(ctx, "CancelTasks", 0, func(ctx context.Context) error {
		_, err := b.client.CancelTasks(ctx, &frayv1.CancelTasksRequest{JobId: b.jc.jobID, WithDependants: config.dependants})
		return err
	})
}

// why tells of the outage that there is, or else of what c waits for.
func (b *remote) why(c *call) error {
	if err := b.outages.err(); err != nil {
		return err
	}
	if c != nil && c.travelled == nil {
		if detail := b.tracker.detail(c); detail != "" {
			return fmt.Errorf("no worker can run it: %s", detail)
		}
	}
	return nil
}

func (b *remote) shutdown() {
	b.submitter.close()
	b.mailer.close()
	found := b.finder.close()
	b.end()
	for _, c := range slices.Concat(b.tracker.close(), found) {
		c.settle(Payload{}, c.closed())
	}
}

func (b *remote) wait() error {
	b.running.Wait()
	if b.owned != nil {
		b.owned.CloseIdleConnections()
	}
	return nil
}
