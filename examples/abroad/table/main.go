// The table command runs the programs of this module under many seeds, and prints what came of them.
//
//	go run ./table -seeds 1..200          # each seed with 1, 2 and 8 processors, and with -race
//	go run ./table -planted -seeds 1..50  # with a bug planted in each program
//
// It wants fray-sim on the PATH.
package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"golang.org/x/tools/txtar"

	"github.com/frayrpc/fray/examples/abroad"
	"github.com/frayrpc/fray/internal/patch"
	"github.com/frayrpc/fray/sim/scenario"
)

// chunk is how many seeds a process runs: what killed processes leave behind is freed with it, and the
// race detector has a limit of goroutines.
const chunk = 5

func main() {
	log.SetFlags(0)
	flags := flag.NewFlagSet("table", flag.ExitOnError)
	seeds := flags.String("seeds", "1..20", "seeds to run")
	race := flags.Bool("race", true, "run each seed with the race detector too, and compare the traces")
	planted := flags.Bool("planted", false, "plant a bug in each program, and run seeds until one finds it")
	_ = flags.Parse(os.Args[1:]) // It exits.
	chosen, err := scenario.ParseSeeds(*seeds)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	bugs, err := filepath.Glob("planted/*.txtar")
	if err != nil || len(bugs) == 0 {
		log.Fatalf("planted: %v, %d bugs: run this in examples/abroad", err, len(bugs))
	}
	dir, err := os.MkdirTemp("", "abroad-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	out := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	failed := false
	for _, bug := range bugs {
		name := strings.TrimSuffix(filepath.Base(bug), ".txtar")
		if flags.NArg() > 0 && !slices.Contains(flags.Args(), name) {
			continue
		}
		var line string
		if *planted {
			line, err = plant(ctx, dir, name, bug, chosen)
		} else {
			line, err = sweep(ctx, dir, name, chosen, *race)
		}
		if err != nil {
			failed = true
			line += " " + err.Error()
		}
		fmt.Fprintf(out, "%s\t%s\n", name, line)
		out.Flush()
	}
	if failed {
		os.Exit(1)
	}
}

// build builds a program's test with the overlay, and returns the file.
func build(ctx context.Context, dir, name string, flags ...string) (string, error) {
	file := filepath.Join(dir, fmt.Sprint(name, len(flags), ".test"))
	args := slices.Concat([]string{"test"}, flags, []string{"-c", "-o", file, "./" + name})
	if out, err := exec.CommandContext(ctx, "fray-sim", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("fray-sim %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return file, nil
}

// run runs seeds in a process of their own.
func run(ctx context.Context, binary string, seeds scenario.Seeds, flags ...string) ([]abroad.Result, error) {
	results := binary + ".results"
	if err := os.Remove(results); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	args := append([]string{"-test.timeout=30m", "-seeds=" + seeds.String(), "-results=" + results}, flags...)
	out, runErr := exec.CommandContext(ctx, binary, args...).CombinedOutput()
	file, err := os.Open(results)
	if err != nil {
		return nil, fmt.Errorf("seeds %v: %w\n%s", seeds, cmp.Or(runErr, err), out)
	}
	defer file.Close()
	var all []abroad.Result
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var r abroad.Result
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	if uint64(len(all)) != seeds.Count() {
		return all, fmt.Errorf("seeds %v: the process ended after %d of them: %w\n%s", seeds, len(all), runErr, out)
	}
	return all, nil
}

// chunks are the seeds of one process each.
func chunks(seeds scenario.Seeds) (all []scenario.Seeds) {
	for first := seeds.First; first <= seeds.Last; first += chunk {
		all = append(all, scenario.Seeds{First: first, Last: min(first+chunk-1, seeds.Last)})
	}
	return all
}

// sweep counts the seeds that diverge, that are not replayable, and under which the oracle says
// something.
func sweep(ctx context.Context, dir, name string, seeds scenario.Seeds, race bool) (string, error) {
	plain, err := build(ctx, dir, name)
	if err != nil {
		return "", err
	}
	raced := ""
	if race {
		if raced, err = build(ctx, dir, name, "-race"); err != nil {
			return "", err
		}
	}
	ran, diverged, raceDiffers, notReplayable, steps := 0, 0, 0, 0, 0
	hashes := make(map[string]bool)
	var found []string
	for _, part := range chunks(seeds) {
		all, err := run(ctx, plain, part)
		if err != nil {
			return "", err
		}
		var again []abroad.Result
		if race {
			if again, err = run(ctx, raced, part, "-once"); err != nil {
				return "", err
			}
		}
		for i, r := range all {
			ran++
			steps += r.Steps
			hashes[r.Hash] = true
			if r.Diverged != "" {
				diverged++
			}
			if !r.Replays {
				notReplayable++
			}
			if r.Found != "" {
				found = append(found, fmt.Sprint(r.Seed))
			}
			if race && again[i].Hash != r.Hash {
				raceDiffers++
			}
		}
	}
	line := fmt.Sprintf("%d seeds\t%d traces\t%d messages\t%d diverged\t%d differ with -race\t%d not replayable\tfound by seeds: %s",
		ran, len(hashes), steps, diverged, raceDiffers, notReplayable, cmp.Or(strings.Join(found, ","), "none"))
	if diverged+raceDiffers+notReplayable > 0 {
		err = errors.New("does not replay")
	}
	return line, err
}

// plant builds a program with a bug, and runs seeds until one finds it, and that one again.
func plant(ctx context.Context, dir, name, bug string, seeds scenario.Seeds) (string, error) {
	modfile, err := planted(ctx, filepath.Join(dir, name), bug)
	if err != nil {
		return "", err
	}
	binary, err := build(ctx, dir, name, "-modfile="+modfile)
	if err != nil {
		return "", err
	}
	for _, part := range chunks(seeds) {
		all, err := run(ctx, binary, part, "-once")
		if err != nil {
			return "", err
		}
		for _, r := range all {
			if r.Found == "" {
				continue
			}
			again, err := run(ctx, binary, scenario.Seeds{First: r.Seed, Last: r.Seed}, "-once")
			if err != nil {
				return "", err
			}
			if again[0].Found != r.Found || again[0].Hash != r.Hash {
				err = errors.New("does not replay")
			}
			first, _, _ := strings.Cut(r.Found, "\n")
			return fmt.Sprintf("found by seed %d\t%s", r.Seed, first), err
		}
	}
	return "", fmt.Errorf("no seed of %v has found it", seeds)
}

// planted copies the module that a bug is for, edits the copy, and returns a go.mod that uses it.
func planted(ctx context.Context, dir, bug string) (string, error) {
	archive, err := txtar.ParseFile(bug)
	if err != nil {
		return "", err
	}
	first, _, _ := strings.Cut(string(archive.Comment), "\n")
	module, ok := strings.CutPrefix(first, "module ")
	if !ok {
		return "", fmt.Errorf("%s:1: %q: begin with module PATH", bug, first)
	}
	edits, err := patch.Parse(archive.Files)
	if err != nil {
		return "", fmt.Errorf("%s: %w", bug, err)
	}
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return "", fmt.Errorf("find module %s: %w", module, err)
	}
	source := strings.TrimSpace(string(out))
	files, err := patch.Apply(source, edits)
	if err != nil {
		return "", fmt.Errorf("%s: %w", bug, err)
	}
	target := filepath.Join(dir, "module")
	if err := os.CopyFS(target, os.DirFS(source)); err != nil {
		return "", err
	}
	for name, text := range files {
		file := filepath.Join(target, filepath.FromSlash(name))
		if err := errors.Join(os.Chmod(file, 0o600), os.WriteFile(file, []byte(text), 0o600)); err != nil {
			return "", err
		}
	}
	modfile := filepath.Join(dir, "go.mod")
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return "", err
		}
	}
	if out, err := exec.CommandContext(ctx, "go", "mod", "edit", "-replace", module+"="+target, modfile).CombinedOutput(); err != nil {
		return "", fmt.Errorf("go mod edit: %w\n%s", err, out)
	}
	return modfile, nil
}
