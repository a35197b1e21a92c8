package main

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// command is what is built with a bug.
const command = "./cmd/fray-sim"

// A garden is where bugs are planted: sources that are not changed, and a directory for what is
// built.
type garden struct {
	root, dir string
	seeds     uint64
	controls  bool // the unedited program is tried as well
}

// plant builds fray-sim with a bug, and sees whether the scenario finds it; or the test with the
// bug, and whether that does.
func (g *garden) plant(ctx context.Context, b *bug) *outcome {
	o := &outcome{bug: b, seeds: g.seeds}
	dir := filepath.Join(g.dir, b.name)
	if o.err = os.Mkdir(dir, 0o700); o.err != nil {
		return o
	}
	defer func() { _ = os.RemoveAll(dir) }() // Programs are large.
	program, err := g.buildWith(ctx, b, dir, &o.build)
	if err != nil {
		o.err = err
		return o
	}
	began := time.Now()
	if b.pkg != "" {
		o.err = o.searchTest(ctx, g.root, program)
	} else {
		o.err = o.search(ctx, program)
	}
	o.run = time.Since(began)
	return o
}

// control runs every scenario that finds a bug with the unedited program, under all seeds. To
// verify takes a process for each, so that is done under the first few. It yields each outcome as
// it comes.
func (g *garden) control(ctx context.Context, planted []*outcome) iter.Seq[*outcome] {
	return func(yield func(*outcome) bool) {
		if !g.controls {
			return
		}
		var build time.Duration
		program, err := g.build(ctx, g.dir, "", "", &build)
		for i, p := range planted {
			if slices.ContainsFunc(planted[:i], func(q *outcome) bool { return q.finder() == p.finder() }) {
				continue
			}
			b := &bug{name: "(none)", pitfall: "-", scenario: p.scenario, verdict: p.verdict, pkg: p.pkg, broken: p.bug.broken}
			c := &outcome{bug: b, seeds: g.seeds, build: build, err: err}
			build = 0 // It was built once.
			switch {
			case err != nil:
			case b.pkg != "":
				var test string
				if test, c.err = g.build(ctx, g.dir, "", b.pkg, &c.build); c.err == nil {
					c.passTest(ctx, g.root, test)
				}
			default:
				c.pass(ctx, program)
			}
			if !yield(c) {
				return
			}
		}
	}
}

// buildWith builds fray-sim or a test with a bug, in a directory of its own.
func (g *garden) buildWith(ctx context.Context, b *bug, dir string, took *time.Duration) (program string, err error) {
	files, err := b.apply(g.root)
	if err != nil {
		return "", err
	}
	list, err := files.Write(g.root, dir)
	if err != nil {
		return "", err
	}
	return g.build(ctx, dir, list, b.pkg, took)
}

// build builds fray-sim into dir, or the tests of a package unless that is empty, with what an
// overlay replaces unless that is empty.
func (g *garden) build(ctx context.Context, dir, overlay, pkg string, took *time.Duration) (program string, err error) {
	began := time.Now()
	defer func() { *took = time.Since(began) }()
	name, args := "fray-sim", []string{"build"}
	if pkg != "" {
		name, args = "planted.test", []string{"test", "-c"}
	}
	program, err = filepath.Abs(filepath.Join(dir, name))
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "-overlay="+overlay, "-o", program, cmp.Or(pkg, command))...)
	cmd.Dir = g.root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return program, nil
}
