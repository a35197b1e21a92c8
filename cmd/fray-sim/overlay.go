package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/sim/overlay"
	"github.com/frayrpc/fray/sim/scenario"
	"github.com/frayrpc/fray/sim/simtest"
)

// endWait is how long go test may take to end when it is told to.
const endWait = 2 * time.Second

func (a *app) newOverlay() *cobra.Command {
	return &cobra.Command{
		Use: "overlay", Short: "Write the overlay with which goroutines follow a seed, and print its name", Args: cobra.NoArgs,
		Long: `overlay writes edited copies of some files of the installed Go's standard library into the user's cache, tests them, and prints
the file that go test takes with -overlay, beside -tags ` + overlay.Tag + `. With it the goroutines of testing/synctest bubbles
follow a seed: that of FRAY_SEED in the environment, or 0. The installed Go stays as it is.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, list, err := a.overlay(cmd.Context())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.Stdout, list)
			return err
		},
	}
}

// overlay returns the installed toolchain, and the overlay of it, which has passed its test.
func (a *app) overlay(ctx context.Context) (overlay.Toolchain, string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "-json", "GOROOT", "GOVERSION", "GOMODCACHE").Output()
	if err != nil {
		return overlay.Toolchain{}, "", simtest.Invalid("go env: %w: the go command has to be on the PATH", err)
	}
	var env struct{ GOROOT, GOVERSION, GOMODCACHE string }
	if err := json.Unmarshal(out, &env); err != nil {
		return overlay.Toolchain{}, "", fmt.Errorf("go env: %w", err)
	}
	t := overlay.Toolchain{Root: env.GOROOT, Version: env.GOVERSION, ModCache: env.GOMODCACHE}
	cache, err := os.UserCacheDir()
	if err != nil {
		return t, "", simtest.Invalid("find the cache: %w", err)
	}
	list, err := overlay.Write(t, filepath.Join(cache, "fray-sim"))
	if err != nil {
		return t, "", simtest.Invalid("%w", err)
	}
	return t, list, overlay.Prove(ctx, t, list)
}

// seedVariable has the seed that bubbles follow.
const seedVariable = "FRAY_SEED"

func (a *app) newTest() *cobra.Command {
	return &cobra.Command{
		Use: "test [--seed N | --seeds A..B] [PACKAGES] [FLAGS OF go test]", Short: "Run go test with goroutines that follow a seed",
		Long: `test runs go test with the overlay: in testing/synctest bubbles, those of package sim among them, the order of goroutines,
ready cases of select, maps, random numbers and timers of one instant follow the seed, so that a test that fails fails again.
With seed 0, the default, goroutines run in the order in which they could; others explore other orders. With --seeds it runs
them one after the other, up to the first that fails.

What a run does that no seed decides, such as reading from real connections, is counted: see package sim/order.`,
		Example: `  fray-sim test ./...
  fray-sim test --seed 7 ./queue -run TestDrain -v
  fray-sim test --seeds 1..200 ./queue -race`,
		Args: cobra.ArbitraryArgs, DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			seeds, rest, err := testArgs(args)
			if errors.Is(err, errHelp) {
				return cmd.Help()
			}
			if err != nil {
				return err
			}
			return a.test(cmd.Context(), seeds, rest)
		},
	}
}

var errHelp = errors.New("help is asked for")

// testArgs takes what is for fray-sim from arguments, of which all others are go test's. Those behind
// -args are a test's own.
func testArgs(args []string) (seeds scenario.Seeds, rest []string, err error) {
	var given []string
	for i := 0; i < len(args); i++ {
		name, value, has := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(args[i], "-"), "-"), "=")
		flag := strings.HasPrefix(args[i], "-")
		switch {
		case flag && (name == "args" || name == ""):
			return seeds, append(rest, args[i:]...), err
		case flag && (name == "h" || name == "help"):
			return seeds, nil, errHelp
		case flag && name == "overlay":
			return seeds, nil, simtest.Invalid("-overlay: go test has one, and fray-sim test needs it")
		case flag && (name == "seed" || name == "seeds"):
			if !has {
				if i++; i == len(args) {
					return seeds, nil, simtest.Invalid("--%s: the value is missing", name)
				}
				value = args[i]
			}
			given = append(given, name)
			if len(given) > 1 {
				return seeds, nil, simtest.Invalid("--%s and --%s: one of them is enough", given[0], given[1])
			}
			if seeds, err = scenario.ParseSeeds(value); err != nil || name == "seed" && seeds.First != seeds.Last {
				return seeds, nil, simtest.Invalid("--%s %q is not a number from 0 to %d, or for --seeds a range such as 1..200", name, value, uint64(1<<64-1))
			}
		default:
			rest = append(rest, args[i])
		}
	}
	return seeds, rest, nil
}

// testFlags returns the flags of go test that its other arguments leave to us.
func testFlags(args []string) []string {
	if own := slices.IndexFunc(args, func(arg string) bool { return arg == "-args" || arg == "--args" }); own >= 0 {
		args = args[:own] // What follows is a test's own.
	}
	if slices.ContainsFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "-count") || strings.HasPrefix(arg, "--count") }) {
		return nil
	}
	return []string{"-count=1"} // The go command knows nothing of the seed when it looks for an earlier result.
}

// withTag returns arguments of go test with the overlay's build tag, beside those that are there.
func withTag(args []string) []string {
	args = slices.Clone(args)
	for i, arg := range args {
		switch bare := strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"); {
		case bare == "args" || arg == "--":
			return append([]string{"-tags=" + overlay.Tag}, args...)
		case arg != bare && strings.HasPrefix(bare, "tags="):
			args[i] = arg + "," + overlay.Tag
			return args
		case arg != bare && bare == "tags" && i+1 < len(args):
			args[i+1] += "," + overlay.Tag
			return args
		}
	}
	return append([]string{"-tags=" + overlay.Tag}, args...)
}

// test runs go test for each seed, up to the first that fails.
func (a *app) test(ctx context.Context, seeds scenario.Seeds, args []string) error {
	t, list, err := a.overlay(ctx)
	if err != nil {
		return err
	}
	command := slices.Concat([]string{"test", "-overlay=" + list}, testFlags(args), withTag(args))
	for seed := seeds.First; ; seed++ {
		cmd := exec.CommandContext(ctx, filepath.Join(t.Root, "bin", "go"), command...) // The installed go.
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
		cmd.WaitDelay = endWait
		cmd.Env = append(os.Environ(), seedVariable+"="+strconv.FormatUint(seed, 10))
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, a.Stdout, a.Stderr
		err := cmd.Run()
		var exit *exec.ExitError
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.As(err, &exit):
			fmt.Fprintf(a.Stderr, "fray-sim: go test failed under seed %d; run it again with: fray-sim test --seed %d %s\n", seed, seed, strings.Join(args, " "))
			return &simtest.ExitError{Code: max(exit.ExitCode(), 1)}
		case err != nil:
			return fmt.Errorf("run go test: %w", err)
		case seed == seeds.Last:
			if seeds.Count() > 1 {
				fmt.Fprintf(a.Stdout, "fray-sim: all %d seeds pass\n", seeds.Count())
			}
			return nil
		}
	}
}
