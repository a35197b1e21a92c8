// Program runs bubbles outside of go test, with arguments that package testing would choke on.
package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/frayrpc/fray/sim/bubble"
)

func main() {
	start := time.Now()
	var passed time.Duration
	for range 3 {
		err := bubble.Run(func() {
			start := time.Now()
			time.Sleep(24 * time.Hour)
			passed += time.Since(start)
		})
		fmt.Println("run:", err)
	}
	fmt.Println("virtual:", passed, "real seconds:", int(time.Since(start).Seconds())/60)
	var panicked *bubble.PanicError
	fmt.Println("panic:", errors.As(bubble.Run(func() { panic("boom") }), &panicked), panicked.Value)
	fmt.Println("deadlock:", errors.Is(bubble.Run(func() { <-make(chan int) }), bubble.ErrDeadlock))
	fmt.Println("left behind:", errors.Is(bubble.Run(func() { go func() { <-make(chan int) }() }), bubble.ErrDeadlock))
	fmt.Println("after:", bubble.Run(func() { time.Sleep(time.Hour) }))
	fmt.Println("arguments:", os.Args[1:])
	os.Exit(7)
}
