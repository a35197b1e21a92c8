package fray_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/frayrpc/fray/fray"
)

var errEmpty = errors.New("text is empty")

// Tasks are package-level variables, so that clients and workers link the same.
var countWords = fray.Define("count-words", func(_ context.Context, text string) (int, error) {
	if text == "" {
		return 0, fray.NonRetryable(errEmpty)
	}
	words, inWord := 0, false
	for _, r := range text {
		if r == ' ' {
			inWord = false
		} else if !inWord {
			inWord = true
			words++
		}
	}
	return words, nil
}, fray.WithRetries(2), fray.WithExecutionTimeout(time.Minute), fray.Errors(errEmpty))

func Example() {
	jc, err := fray.NewJobContext(context.Background(), fray.KindThreadPool)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer jc.Close()
	ctx := fray.NewContext(context.Background(), jc)

	futures, err := countWords.RunAll(ctx, []string{"one", "two words", "these are three"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range futures {
		words, err := f.Get(ctx)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(words)
	}
	// Output:
	// 1
	// 2
	// 3
}

func ExampleErrors() {
	jc, err := fray.NewJobContext(context.Background(), fray.KindSync)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer jc.Close()
	ctx := fray.NewContext(context.Background(), jc)

	_, err = countWords.Call(ctx, "", fray.WithTaskID("example"))
	fmt.Println(err)
	fmt.Println(errors.Is(err, errEmpty))
	// Output:
	// task example (count-words): attempt 1 of 3 on worker sync: application error: text is empty
	// true
}

// parts are the tasks that a total is made of.
type parts struct {
	Title *fray.Future[int]
	Texts []*fray.Future[int]
}

var addWords = fray.Define("add-words", func(ctx context.Context, in parts) (int, error) {
	sum := 0
	for _, f := range append(in.Texts, in.Title) {
		words, err := f.Get(ctx) // It is there: the task has not started before.
		if err != nil {
			return 0, err
		}
		sum += words
	}
	return sum, nil
})

// Futures in an input are dependencies: nobody has to wait for them.
func ExampleFuture_dependency() {
	jc, err := fray.NewJobContext(context.Background(), fray.KindThreadPool)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer jc.Close()
	ctx := fray.NewContext(context.Background(), jc)

	title, err := countWords.Run(ctx, "a title")
	if err != nil {
		fmt.Println(err)
		return
	}
	texts, err := countWords.RunAll(ctx, []string{"one", "two words"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(addWords.Call(ctx, parts{Title: title, Texts: texts}))

	empty, err := countWords.Run(ctx, "", fray.WithTaskID("empty"))
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = addWords.Call(ctx, parts{Title: empty}, fray.WithTaskID("sum"))
	fmt.Println(err)
	// Output:
	// 5 <nil>
	// task sum (add-words): dependency failed: task empty, which it needs, did not complete
}

func ExampleAsCompleted() {
	jc, err := fray.NewJobContext(context.Background(), fray.KindThreadPool, fray.WithWorkers(1))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer jc.Close()
	ctx := fray.NewContext(context.Background(), jc)

	futures, err := countWords.RunAll(ctx, []string{"a b", "c", "d e f"})
	if err != nil {
		fmt.Println(err)
		return
	}
	total := 0
	for f, err := range fray.AsCompleted(ctx, futures) {
		if err != nil {
			fmt.Println(err)
			return
		}
		words, err := f.Get(ctx)
		if err != nil {
			fmt.Println(err)
			return
		}
		total += words
	}
	fmt.Println(total)
	// Output: 6
}

func ExampleMap() {
	jc, err := fray.NewJobContext(context.Background(), fray.KindThreadPool)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer jc.Close()
	ctx := fray.NewContext(context.Background(), jc)

	texts := slices.Values([]string{"one", "", "these are three"})
	for words, err := range fray.Map(ctx, countWords, texts, fray.MapInFlight(100), fray.WithTaskID("texts")) {
		fmt.Println(words, err)
	}
	// Output:
	// 1 <nil>
	// 0 task texts/1 (count-words): attempt 1 of 3 on worker threadpool: application error: text is empty
	// 3 <nil>
}

func ExampleWait() {
	jc, err := fray.NewJobContext(context.Background(), fray.KindThreadPool)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer jc.Close()
	ctx := fray.NewContext(context.Background(), jc)

	quick, err := countWords.Run(ctx, "quick")
	if err != nil {
		fmt.Println(err)
		return
	}
	never, err := hang.Run(ctx, struct{}{})
	if err != nil {
		fmt.Println(err)
		return
	}
	// Futures of different types wait together as what they have in common.
	done, pending, err := fray.Wait(ctx, []fray.Awaitable{never, quick}, 1, time.Minute)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(done[0].ID() == quick.ID(), pending[0].ID() == never.ID())
	// Output: true true
}

// total is a task that runs tasks. While it waits for them it lends its slot, so that one worker is
// enough.
var total = fray.Define("total", func(ctx context.Context, texts []string) (int, error) {
	futures, err := countWords.RunAll(ctx, texts)
	if err != nil {
		return 0, err
	}
	sum := 0
	for _, f := range futures {
		words, err := f.Get(ctx)
		if err != nil {
			return 0, err
		}
		sum += words
	}
	return sum, nil
})

func Example_tasksWithinTasks() {
	jc, err := fray.NewJobContext(context.Background(), fray.KindThreadPool, fray.WithWorkers(1))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer jc.Close()
	ctx := fray.NewContext(context.Background(), jc)

	sum, err := total.Call(ctx, []string{"a b", "c d e"})
	fmt.Println(sum, err)
	// Output: 5 <nil>
}

// counter is the state of an actor.
type counter struct{ n int }

var counters = fray.DefineActor("counter", func(_ context.Context, start int) (*counter, error) {
	return &counter{start}, nil
})

var addToCounter = fray.DefineMethod(counters, "add", func(_ context.Context, c *counter, n int) (int, error) {
	c.n += n // No other call runs meanwhile.
	return c.n, nil
})

// An actor is state that lives between calls, also those of tasks that it is passed to.
func ExampleActorClass() {
	jc, err := fray.NewJobContext(context.Background(), fray.KindThreadPool)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer jc.Close()
	ctx := fray.NewContext(context.Background(), jc)

	visits, err := counters.Create(ctx, 100, fray.WithActorName("visits"))
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := addToCounter.RunAll(ctx, visits, []int{1, 2, 3}); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(addToCounter.Call(ctx, visits, 4)) // It comes after those.

	same, err := counters.Find(ctx, "visits")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(same.ID() == visits.ID(), same.Delete(ctx))
	_, err = addToCounter.Call(ctx, visits, 5)
	fmt.Println(errors.Is(err, fray.ErrActorDead))
	// Output:
	// 110 <nil>
	// true <nil>
	// true
}
