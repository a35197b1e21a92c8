package slots_test

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/core/slots"
)

// TestTranscripts replays testdata/*.txt: commands, a line of dashes, and the effects that they
// had. Attempts are named by small letters.
//
//	config slots=2 cpu=1000 prefetch=4   make a machine, and register it; also outbox=, bytes=, unreported=
//	poll                                 ask what to poll for
//	grant a b(cpu=5) c(timeout=1s,bytes=9) d(priority=5) e(cpu=5,keeps=1)   answer the poll that was sent last
//	finish a succeeded [bytes] | stop a b | block a | unblock a | ack a b
//	lost 5s | registered a b | drain 30s | advance 20ms
//	stall 16s                            let time pass as while the process stands still; with stall=1 that is watched
//	held | counts | understated
func TestTranscripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("find transcripts: %v, %d files", err, len(files))
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			script := &script{now: core.Time(time.Hour)}
			for block := range strings.SplitSeq(strings.TrimSpace(string(want)), "\n\n") {
				commands, _, isBlock := strings.Cut(block, "\n----")
				fmt.Fprintf(&got, "%s\n", commands)
				if isBlock {
					fmt.Fprint(&got, "----\n")
					for line := range strings.SplitSeq(commands, "\n") {
						if !strings.HasPrefix(line, "#") {
							script.run(t, &got, line)
						}
					}
				}
				fmt.Fprintln(&got)
			}
			out := strings.TrimSuffix(got.String(), "\n")
			if *update {
				if err := os.WriteFile(file, []byte(out), 0o600); err != nil {
					t.Fatal(err)
				}
			} else if out != string(want) {
				t.Errorf("%s differs; read the new behaviour with -update and git diff:\n%s", file, out)
			}
		})
	}
}

// script runs commands against one machine.
type script struct {
	slots *slots.Machine
	now   core.Time
	poll  uint64
}

func (s *script) run(t *testing.T, out *strings.Builder, line string) {
	t.Helper()
	verb, rest, _ := strings.Cut(line, " ")
	args := strings.Fields(rest)
	if s.slots != nil {
		s.slots.Pass(s.now)
	}
	switch verb {
	case "config":
		s.slots = slots.New(config(t, args))
		s.slots.Registered(s.now, nil)
	case "stall":
		s.now = s.now.Add(duration(t, args[0]))
	case "poll":
		if poll, ok := s.slots.NextPoll(s.now); ok {
			s.poll = poll.Seq
			fmt.Fprintf(out, "poll %d after %d: free=%d max=%d held=%d", poll.Seq, poll.Received, poll.Free, poll.Max, poll.Held)
			if len(poll.Lent) > 0 {
				fmt.Fprintf(out, " lent by %s", names(poll.Lent))
			}
			fmt.Fprintln(out)
		} else {
			fmt.Fprintln(out, "no poll")
		}
	case "understated":
		fmt.Fprintln(out, s.slots.Understated())
	case "grant":
		var grants []slots.Grant
		for _, arg := range args {
			grants = append(grants, grant(t, arg))
		}
		s.slots.Grant(s.now, s.poll, grants)
	case "finish":
		bytes := 0
		if len(args) > 2 {
			var err error
			if bytes, err = strconv.Atoi(args[2]); err != nil {
				t.Fatal(err)
			}
		}
		s.slots.Finish(s.now, lease(args[0]), outcome(t, args[1]), bytes)
	case "stop":
		s.slots.Stop(s.now, leases(args))
	case "block":
		s.slots.Block(s.now, lease(args[0]))
	case "unblock":
		s.slots.Unblock(s.now, lease(args[0]))
	case "ack":
		for _, lease := range leases(args) {
			s.slots.Ack(s.now, lease)
		}
	case "lost":
		s.slots.SessionLost(s.now, duration(t, args[0]))
	case "registered":
		s.slots.Registered(s.now, leases(args))
	case "drain":
		s.slots.Drain(s.now, s.now.Add(duration(t, args[0])))
	case "advance":
		s.advance(out, s.now.Add(duration(t, args[0])))
	case "held":
		held := s.slots.Held()
		fmt.Fprintf(out, "queued=%s running=%s finished=%s after poll %d\n",
			names(held.Queued), names(held.Running), names(held.Finished), held.ReceivedPoll)
	case "counts":
		c := s.slots.Counts()
		fmt.Fprintf(out, "free=%d queued=%d running=%d blocked=%d abandoned=%d outbox=%d drained=%t\n",
			c.Free, c.Queued, c.Running, c.Blocked, c.Abandoned, c.Outbox, s.slots.Drained())
	default:
		t.Fatalf("unknown command %q", line)
	}
	s.drain(out)
	if err := s.slots.Check(); err != nil {
		t.Fatalf("after %q: %v", line, err)
	}
}

// advance ticks the machine whenever something is due.
func (s *script) advance(out *strings.Builder, until core.Time) {
	start := s.now
	for s.slots.Deadline() <= until {
		s.now = max(s.now, s.slots.Deadline())
		s.slots.Pass(s.now)
		s.slots.Tick(s.now)
		if effects := s.slots.Effects(); len(effects) > 0 {
			fmt.Fprintf(out, "after %v:\n", s.now.Sub(start))
			printEffects(out, effects)
		}
	}
	s.now = until
}

func (s *script) drain(out *strings.Builder) { printEffects(out, s.slots.Effects()) }

func printEffects(out *strings.Builder, effects []slots.Effect) {
	for _, e := range effects {
		fmt.Fprintf(out, "  %v %v", e.Kind, e.Value)
		switch e.Kind {
		case slots.Cancel, slots.Abandon:
			fmt.Fprintf(out, " %v", e.Cause)
		case slots.Report:
			fmt.Fprintf(out, " %v ran=%v", e.Outcome, e.Ran)
		}
		fmt.Fprintln(out)
	}
}

func config(t *testing.T, args []string) slots.Config {
	t.Helper()
	cfg := slots.Config{
		Slots: 1, MaxOutbox: 100,
		PrefetchFor: 50 * time.Millisecond, QueueWait: time.Second, StartedAfter: 20 * time.Millisecond, StopGrace: 5 * time.Second,
	}
	for _, arg := range args {
		key, text, _ := strings.Cut(arg, "=")
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		switch key {
		case "slots":
			cfg.Slots = n
		case "prefetch":
			cfg.MaxPrefetch = n
		case "bytes":
			cfg.PrefetchBytes = n
		case "outbox":
			cfg.MaxOutbox = n
		case "unreported":
			cfg.MaxOutboxBytes = n
		case "stall":
			cfg.StallTick, cfg.StallTolerance = time.Duration(n)*time.Second, time.Second
		default:
			cfg.Resources = append(cfg.Resources, core.Resource{Name: key, Amount: int64(n)})
		}
	}
	return cfg
}

// grant reads "a", "a(cpu=500)" or "a(timeout=1s)".
func grant(t *testing.T, text string) slots.Grant {
	t.Helper()
	text, options, _ := strings.Cut(strings.TrimSuffix(text, ")"), "(")
	grant := slots.Grant{Lease: lease(text), Value: text}
	for option := range strings.SplitSeq(options, ",") {
		key, value, ok := strings.Cut(option, "=")
		if !ok {
			continue
		}
		if key == "timeout" {
			grant.Timeout = duration(t, value)
			continue
		}
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		switch key {
		case "bytes":
			grant.Bytes = int(n)
			continue
		case "priority":
			grant.Priority = int32(n)
			continue
		case "keeps":
			grant.Keeps = n > 0
			continue
		}
		grant.Resources = append(grant.Resources, core.Resource{Name: key, Amount: n})
	}
	return grant
}

func lease(text string) core.Token { return core.Token(text[0]) }

func leases(names []string) []core.Token {
	var leases []core.Token
	for _, name := range names {
		leases = append(leases, lease(name))
	}
	return leases
}

func names(leases []core.Token) string {
	var b strings.Builder
	for _, lease := range leases {
		b.WriteByte(byte(lease))
	}
	return cmp.Or(b.String(), "-")
}

func outcome(t *testing.T, text string) core.Outcome {
	t.Helper()
	for o := core.Started; o <= core.UndecodableOutcome; o++ {
		if strings.EqualFold(o.String(), text) {
			return o
		}
	}
	t.Fatalf("unknown outcome %q", text)
	return 0
}

func duration(t *testing.T, text string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
