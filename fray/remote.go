package fray

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/internal/dial"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
)

// remote is the fray backend. A submitter sends calls to the controller, many at a time; a watcher is told, by one
// long poll, of all that have ended; a tracker stands between them. Whatever the controller or the network does, an
// acknowledged call stays open until the watcher knows how it ended.
type remote struct {
	link
	owned     *http.Client // its connections are closed with the backend; nil: the caller's client is used
	tracker   *tracker
	submitter *submitter
	watcher   *watcher
	end       context.CancelFunc // ends the goroutines of the submitter and the watcher
	running   *sync.WaitGroup    // those goroutines
}

// link is how the parts of a remote backend reach the controller.
type link struct {
	jc     *JobContext
	client frayv1connect.ControllerServiceClient
}

func newRemote(ctx context.Context, jc *JobContext, address string, config jobConfig) *remote {
	ctx, end := context.WithCancel(ctx)
	b := &remote{tracker: newTracker(), end: end, running: new(sync.WaitGroup)}
	httpClient := config.httpClient
	if httpClient == nil {
		b.owned = dial.NewHTTPClient()
		httpClient = b.owned
	}
	options := append([]connect.ClientOption{dial.WithoutCompression()}, config.clientOptions...)
	b.link = link{jc: jc, client: frayv1connect.NewControllerServiceClient(httpClient, address, options...)}
	spawn := func(f func(context.Context)) { b.running.Go(func() { f(ctx) }) }
	b.watcher = newWatcher(b.link, b.tracker, spawn)
	b.submitter = newSubmitter(b.link, b.tracker, b.watcher, spawn)
	return b
}

// do calls the controller, again and again while that may help.
func (l link) do(ctx context.Context, procedure string, attemptTimeout time.Duration, call func(context.Context) error) error {
	return dial.Do(ctx, dial.Policy{
		AttemptTimeout: attemptTimeout,
		Rand:           l.jc.rand,
		OnRetry: func(err error, delay time.Duration) {
			l.jc.logger.WarnContext(ctx, "repeat call to controller",
				"procedure", procedure, "job_id", l.jc.jobID, "delay", delay, "error", err)
		},
	}, call)
}

func (b *remote) submit(ctx context.Context, calls []*call) { b.submitter.submit(ctx, calls) }

func (b *remote) cancel(ctx context.Context, c *call) error {
	var res *frayv1.CancelTasksResponse
	err := b.do(ctx, "CancelTasks", 0, func(ctx context.Context) (err error) {
		res, err = b.client.CancelTasks(ctx, &frayv1.CancelTasksRequest{TaskIds: []string{c.id}})
		return err
	})
	if err != nil {
		return err
	}
	verdicts := res.GetVerdicts()
	if len(verdicts) != 1 {
		return fmt.Errorf("controller answered with %d verdicts for one task", len(verdicts))
	}
	if verdicts[0] == frayv1.CancelVerdict_CANCEL_VERDICT_NOT_FOUND {
		b.watcher.recheck([]string{c.id}) // the future has to end, too
		return ErrTaskLost
	}
	return nil
}

func (b *remote) cancelAll(ctx context.Context) error {
	return b.do(ctx, "CancelTasks", 0, func(ctx context.Context) error {
		_, err := b.client.CancelTasks(ctx, &frayv1.CancelTasksRequest{JobId: b.jc.jobID})
		return err
	})
}

func (b *remote) shutdown() {
	b.submitter.close()
	b.end()
	for _, c := range b.tracker.close() {
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
