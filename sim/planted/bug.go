package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/txtar"

	"github.com/frayrpc/fray/internal/patch"
)

// pitfalls are the ways in which systems of this kind are known to have failed, as far as they are
// ways of a controller, a worker or a client. Each has a bug at least.
var pitfalls = []string{
	"server wait equals client timeout",
	"failing report taken for a failed task",
	"busy worker declared dead",
	"unreachable worker attracts all tasks",
	"ambiguous assignment commits twice",
	"undecodable payload requeued for ever",
	"unencodable error escapes reporting",
	"late report overwrites the end",
	"reconcile kills what was just leased",
	"capacity leaked before the start",
	"unstarted task charged for a loss",
	"dead dispatch path attracts tasks",
	"lost report has its task run again",
	"one budget charged for another",
	"clients crash or hammer in an outage",
	"controller restart loses or doubles",
	"orphans are never collected",
}

// noPitfall is what a bug of another kind says.
const noPitfall = "none"

// A bug is one known mistake, as an edit of the sources.
type bug struct {
	// Its file without .txtar.
	name string
	// What it is, in a few words.
	title string
	// Which of pitfalls it is an instance of; noPitfall: none.
	pitfall string
	// The scenario of the library that finds it, and what the run's result says then.
	scenario, verdict, broken string
	// Where no scenario comes near: the package of the test that finds it, relative to the module;
	// the test is the one that breaks.
	pkg string

	edits []patch.Edit
}

// verdictTest is how a test finds a bug: it fails.
const verdictTest = "test-failed"

// place is what finds it.
func (b *bug) place() string {
	if b.pkg != "" {
		return b.pkg
	}
	return b.scenario
}

// finder is what finds it, and how.
func (b *bug) finder() string {
	if b.pkg != "" {
		return b.pkg + " " + b.broken
	}
	return fmt.Sprint(b.scenario, b.verified())
}

// apply makes the bug's edits to copies of the sources.
func (b *bug) apply(root string) (patch.Files, error) {
	files, err := patch.Apply(root, b.edits)
	if err != nil {
		return nil, fmt.Errorf("bring the bug up to date with the sources: %w", err)
	}
	return files, nil
}

// verified says whether it takes fray-sim --verify to find the bug.
func (b *bug) verified() bool { return b.verdict == "nondeterminism" }

// readBugs reads all bugs of a directory, in the order of their names.
func readBugs(dir string) ([]*bug, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no bugs in %s: want *.txtar", dir)
	}
	slices.Sort(files)
	var bugs []*bug
	var errs []error
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		b, err := parseBug(strings.TrimSuffix(filepath.Base(file), ".txtar"), text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", file, err))
		}
		bugs = append(bugs, b)
	}
	return bugs, errors.Join(errs...)
}

// parseBug reads a bug, which is a txtar archive. Its comment has the bug's name on the first line,
// then in any number of paragraphs what it is and why a programmer would write it, then a paragraph
// of keys; its sections are edits, see package patch:
//
//	cancel forgets who holds the task
//
//	An attempt that is leased has not started, so it seems that ...
//
//	pitfall: none
//	scenario: cancel-storm
//	result: invariant-broken no-start-after-end
//	-- fray/core/heartbeat.go: old --
//		case t.status == Pending:
//	-- fray/core/heartbeat.go: new --
//		case t.status == Pending || t.status == Leased:
//
// A bug that no simulated cluster can meet, because it is in how commands run, bytes are parsed or
// faults are injected, has in place of scenario and result the package and the name of a test:
//
//	test: ./faults TestStreamEndsWhereItIsCut
//
// The pitfall is one of pitfalls. The result is what fray-sim says: the verdict, and what is
// broken; with "or" between them where it is one of several, and which is up to the course that the
// run takes.
func parseBug(name string, text []byte) (*bug, error) {
	archive := txtar.Parse(text)
	b := &bug{name: name}
	paragraphs := strings.Split(strings.TrimSpace(string(archive.Comment)), "\n\n")
	if len(paragraphs) < 3 {
		return nil, errors.New("want a title, an explanation and keys, with empty lines between")
	}
	b.title = paragraphs[0]
	if err := b.parseKeys(paragraphs[len(paragraphs)-1]); err != nil {
		return nil, err
	}
	var err error
	b.edits, err = patch.Parse(archive.Files)
	return b, err
}

func (b *bug) parseKeys(paragraph string) error {
	for line := range strings.SplitSeq(paragraph, "\n") {
		key, value, _ := strings.Cut(line, ": ")
		switch key {
		case "pitfall":
			b.pitfall = value
		case "scenario":
			b.scenario = value
		case "result":
			b.verdict, b.broken, _ = strings.Cut(value, " ")
		case "test":
			b.verdict = verdictTest
			b.pkg, b.broken, _ = strings.Cut(value, " ")
		default:
			return fmt.Errorf("line %q: want pitfall, scenario, result or test, a colon, and a value", line)
		}
	}
	if b.pitfall == "" || (b.scenario == "") == (b.pkg == "") || (b.verdict == verdictTest) != (b.pkg != "") || b.verdict == "" || b.broken == "" {
		return errors.New("want the keys pitfall, scenario and result, the last with a verdict and what is broken, or pitfall and test, " +
			"with a package and the name of a test")
	}
	if b.pitfall != noPitfall && !slices.Contains(pitfalls, b.pitfall) {
		return fmt.Errorf("pitfall %q: want %s, or one of: %s", b.pitfall, noPitfall, strings.Join(pitfalls, "; "))
	}
	return nil
}
