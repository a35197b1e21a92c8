// Package fray runs Go functions as tasks: in this process, or on the workers of a controller, with
// the same code and the same meaning.
//
// A task is a named function. [Define] makes one, a [JobContext] says where it runs, and a [Future]
// is its end:
//
//	var resize = fray.Define("resize", func(ctx context.Context, in Image) (Thumbnail, error) {
//		...
//	}, fray.WithRetries(3), fray.Errors(ErrNotAnImage))
//
//	jc, err := fray.NewJobContext(ctx, fray.KindAuto)
//	if err != nil {
//		return err
//	}
//	defer jc.Close()
//	ctx = fray.NewContext(ctx, jc)
//
//	futures, err := resize.RunAll(ctx, images)
//	if err != nil {
//		return err
//	}
//	for f, err := range fray.AsCompleted(ctx, futures) {
//		...
//	}
//
// [Map] does both for inputs from an iterator, however many there are.
//
// # Dependencies
//
// A future in the input of a task is a dependency: the task waits for it where it is queued, without a slot, and
// finds its value there. So whole graphs are submitted at once, and nobody has to wait for their edges:
//
//	type pair struct{ A, B *fray.Future[Image] }
//
//	a, err := load.Run(ctx, "a.png")
//	...
//	diff, err := compare.Run(ctx, pair{a, b})
//
// A [Ref] in an input is one, too: its value is held until the task has ended. See [Define].
//
// # Actors
//
// An actor is state that lives between calls. A class is made of its constructor by [DefineActor], its methods
// by [DefineMethod], and workers are given both as functions:
//
//	var counters = fray.DefineActor("counter", func(ctx context.Context, start int) (*counter, error) {
//		return &counter{start}, nil
//	})
//	var add = fray.DefineMethod(counters, "add", func(ctx context.Context, c *counter, n int) (int, error) {
//		c.n += n
//		return c.n, nil
//	})
//
//	visits, err := counters.Create(ctx, 0, fray.WithActorName("visits"))
//	...
//	n, err := add.Call(ctx, visits, 1)
//
// The calls of one job context begin in the order in which they were run. An actor whose worker is lost is constructed
// anew; its state is lost, unless it is a [Checkpointer], and so are the calls that it had. See [DefineMethod].
//
// # Jobs
//
// All tasks of a job context belong to one job, which may have more than an id:
//
//	jc, err := fray.NewJobContext(ctx, fray.KindAuto,
//		fray.WithEnvironment(map[string]string{"STAGE": "test"}), fray.WithMaxFailedShare(0.05))
//
// Its tasks find the environment by [Environment], and once one in twenty has failed, all that is open ends and Run
// answers with [ErrJobFailed]. See [WithParentJob] for jobs that are parts of others, and [WithJobWeight].
//
// # Schedules
//
// A controller submits a task at the times of a cron line, also while no client is there, until the schedule is deleted:
//
//	_, err := backUp.Schedule(ctx, "backup", "0 3 * * *", target, fray.WithTimeZone("Europe/Berlin"), fray.WithRetries(3))
//
// A program may do so each time it starts: the schedule is found by its name if it is there. See [Task.Schedule].
//
// # Gangs
//
// Tasks that are nothing without each other start together, or not at all:
//
//	futures, err := solve.RunGang(ctx, parts, fray.WithRetries(3))
//
// See [Task.RunGang].
//
// # Backends
//
// [KindSync] runs a task inside of Run, which is the one to debug with; [KindThreadPool] runs tasks
// on goroutines; [KindFray] has a controller lease them to workers, which link the same tasks.
// [KindRay] is KindFray with workers that it runs on a Ray cluster.
// [KindAuto] is fray where a controller is configured and threadpool elsewhere, see there. On all of them
// values are encoded and decoded, errors keep what their wire form keeps and nothing else, and
// retries, timeouts and cancellation do the same, so that what passes on sync passes on fray. Only
// schedules, resources, labels, the weight of a job and what parts it has, and the uniqueness of task ids across job
// contexts need a controller.
//
// Tests of tasks run on any of them; package fraytest starts a controller and workers in the process of
// a test.
//
// # What holds
//
//   - Once Run has returned a future, the task will be run, and its end told, through the loss of workers, of
//     replies, and of a controller with a durable store.
//   - A task may be executed more than once: after a failure if it has retries, and after its worker was lost. Exactly
//     one end is told, and it never changes.
//   - [JobContext.Close] ends what runs in this process, and nothing at a controller.
//   - A task may run further tasks with the context that it is given. While it waits for them in [Future.Get], [Wait],
//     [AsCompleted] or [Map], it lends its slot and its resources, so that tasks may wait for tasks to any depth.
//
// # Errors
//
// A task that ends without a value gives a [*TaskError], which names the task, its function, the
// attempt, the worker and the cause. An error value does not travel, but its text does, and so does
// the identity of those declared with [Errors]. [NonRetryable] and [RetryAfter] mark an error for
// the retry policy.
package fray
