package check_test

import (
	"fmt"
	"time"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/sim/check"
)

// A history by hand: a controller acknowledges a task, and a second later it does not know it. The
// violation has the proof.
func Example_violation() {
	var now time.Duration
	oracles := check.New(check.Config{})
	history := check.NewHistory(check.HistoryConfig{Clock: func() time.Duration { return now }, Observe: oracles.Observe})
	history.Add(
		check.Event{Kind: check.SubmitCall, Call: 1, Host: "client-1", Task: "render", Spec: check.NewSpec(&frayv1.TaskSpec{TaskId: "render"})},
		check.Event{Kind: check.SubmitReply, Call: 1, Host: "client-1", Task: "render", Answer: check.Created},
	)
	asked := history.Len()
	now = time.Second
	history.Add(check.Event{
		Kind: check.ReadReply, Call: 2, Host: "client-1", Task: "render", Answer: check.NotFound, Invoked: asked, InvokedAt: now,
	})
	fmt.Println(oracles.Finish(history.Now())[0].String())
	// Output:
	// never-lost: task render: was acknowledged and is unknown now
	// 	#2 0s submit-reply host=client-1 task=render verdict=created
	// 	#3 1s read-reply host=client-1 task=render verdict=not-found
}
