//go:build breaking

package main

import (
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// With the tag breaking, the controller of the seed in FRAY_SIM_BREAK, which is a way and a seed
// such as spin:7, breaks down in that way: it spins, it holds a mutex for as long as a call lasts,
// or it panics on a goroutine of its own.
func init() {
	way, text, _ := strings.Cut(os.Getenv("FRAY_SIM_BREAK"), ":")
	breaks, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return
	}
	plant = func(seed uint64) func(http.Handler) http.Handler {
		if seed != breaks {
			return nil
		}
		return func(next http.Handler) http.Handler {
			var (
				mu    sync.Mutex
				calls atomic.Int64
				spun  atomic.Bool
			)
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if calls.Add(1) == breakingCall {
					switch way {
					case "spin":
						go spinForEver(&spun)
					case "panic":
						go panic("planted panic")
					}
				}
				if way == "mutex" {
					mu.Lock()
					defer mu.Unlock()
				}
				next.ServeHTTP(w, r)
			})
		}
	}
}

// breakingCall is at which call it breaks.
const breakingCall = 30

// spinForEver spins, after it has made the file of FRAY_SIM_BROKEN, if that names one.
func spinForEver(spun *atomic.Bool) {
	if path := os.Getenv("FRAY_SIM_BROKEN"); path != "" {
		_ = os.WriteFile(path, nil, 0o600)
	}
	for !spun.Load() {
	}
}
