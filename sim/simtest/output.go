package simtest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/report"
	"github.com/frayrpc/fray/sim/scenario"
	"github.com/frayrpc/fray/sim/timeline"
)

// Files of --out. Those of a run are in the directory itself, or for a failing seed of a sweep in
// one of its own.
const (
	fileReport   = "report.txt"
	fileResult   = "result.json"
	fileScenario = "scenario.yaml"
	fileTrace    = "trace.jsonl"
	fileHistory  = "history.jsonl"
	filePage     = "page.html"
	fileSummary  = "summary.txt"
	fileResults  = "results.jsonl"
	fileJUnit    = "junit.xml"

	// seedPrefix is what the directory of a seed starts with; temporary ones have a dot before it.
	seedPrefix = "seed-"
	// outputMark tells that a directory is one of fray-sim, which may replace what it has in it.
	outputMark = ".fray-sim"
	markText   = "fray-sim --out made this directory, and replaces its own files in it.\n"
)

var outputFiles = []string{fileReport, fileResult, fileScenario, fileTrace, fileHistory, filePage, fileSummary, fileResults, fileJUnit}

// An output is the directory of --out. A file is in it in full or not at all.
type output struct{ dir string }

// openOutput makes the directory, or takes one that is empty or fray-sim's own, out of which it
// takes what an earlier run left. It returns nil for no directory.
func openOutput(dir string) (*output, error) {
	if dir == "" {
		return nil, nil // Nobody asked for one.
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { // For others to read.
		return nil, Invalid("--out: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, Invalid("--out: %w", err)
	}
	marked := slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == outputMark })
	if len(entries) > 0 && !marked {
		return nil, Invalid("--out %s has files in it, and fray-sim did not make it: empty it, or name another directory", dir)
	}
	for _, e := range entries {
		if !ownFile(e.Name()) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return nil, Invalid("--out: remove what an earlier run left: %w", err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, outputMark), []byte(markText), 0o644); err != nil { // For others to read.
		return nil, Invalid("--out: %w", err)
	}
	return &output{dir}, nil
}

// openOutputs makes the directory of several scenarios, each of which has one in it, or takes one in
// which there are but such. It returns nil for no directory.
func openOutputs(dir string) (*output, error) {
	if dir == "" {
		return nil, nil // Nobody asked for one.
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, Invalid("--out: %w", err)
	}
	for _, e := range entries {
		if _, err := os.Stat(filepath.Join(dir, e.Name(), outputMark)); err != nil && e.Name() != outputMark {
			return openOutput(dir)
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { // For others to read.
		return nil, Invalid("--out: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, outputMark), []byte(markText), 0o644); err != nil { // For others to read.
		return nil, Invalid("--out: %w", err)
	}
	return openOutput(dir)
}

// ownFile says whether a name is that of a file or directory that --out writes, or of one that was
// never finished.
func ownFile(name string) bool {
	bare, unfinished := strings.CutPrefix(name, ".")
	if seed, ok := strings.CutPrefix(bare, seedPrefix); ok {
		_, err := strconv.ParseUint(seed, 10, 64)
		return err == nil
	}
	return slices.ContainsFunc(outputFiles, func(file string) bool {
		return bare == file || unfinished && strings.HasPrefix(bare, file)
	})
}

// pending returns a file that is not there under its name until CloseAtomicallyReplace.
func pending(path string) (*renameio.PendingFile, error) {
	file, err := renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)), renameio.WithPermissions(0o644))
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	return file, nil
}

// writeFile writes a file in full or not at all.
func writeFile(path string, write func(io.Writer) error) error {
	file, err := pending(path)
	if err != nil {
		return err
	}
	defer file.Cleanup() //nolint:errcheck // Nothing is left to clean up, or the error is told below.
	buffered := bufio.NewWriter(file)
	if err := errors.Join(write(buffered), buffered.Flush()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return file.CloseAtomicallyReplace()
}

// A savedRun is the files of one run.
type savedRun struct {
	dir            string
	trace, history *renameio.PendingFile
	recording      *recording
}

// saveRun prepares to save a run in a directory; a recording of it is to become its trace, its
// history and its page.
func saveRun(dir string, s *scenario.Scenario, rec *recording) (*savedRun, error) {
	trace, err := pending(filepath.Join(dir, fileTrace))
	if err != nil {
		return nil, err
	}
	history, err := pending(filepath.Join(dir, fileHistory))
	if err != nil {
		_ = trace.Cleanup()
		return nil, err
	}
	rec.traces, rec.histories = append(rec.traces, trace), append(rec.histories, history)
	if rec.page == nil {
		rec.page = timeline.New(s)
	}
	return &savedRun{dir: dir, trace: trace, history: history, recording: rec}, nil
}

// abandon gives up what is not finished.
func (r *savedRun) abandon() {
	_ = r.trace.Cleanup()
	_ = r.history.Cleanup()
}

// abort writes what there is to tell of a run that does not come to its end.
func (r *savedRun) abort(result *engine.Result, of *subject) error {
	return errors.Join(
		writeFile(filepath.Join(r.dir, fileReport), func(w io.Writer) error {
			report.Run(w, result, of.Subject)
			return nil
		}),
		writeFile(filepath.Join(r.dir, fileJUnit), func(w io.Writer) error { return report.WriteSuites(w, suiteOf(result, of)) }),
	)
}

// finish writes the files of a run that is over. It is that of a seed of a subject.
func (r *savedRun) finish(result *engine.Result, of *subject) error {
	for _, file := range []struct {
		name  string
		write func(io.Writer) error
	}{
		{fileJUnit, func(w io.Writer) error { return report.WriteSuites(w, suiteOf(result, of)) }},
		{fileReport, func(w io.Writer) error {
			report.Run(w, result, of.Subject)
			r.recording.why.Write(w)
			return nil
		}},
		{fileResult, func(w io.Writer) error {
			encoder := json.NewEncoder(w)
			encoder.SetIndent("", "  ")
			return encoder.Encode(result)
		}},
		{fileScenario, func(w io.Writer) error {
			text, err := of.of(result.Seed).Marshal()
			if err != nil {
				return err
			}
			_, err = w.Write(text)
			return err
		}},
		{filePage, func(w io.Writer) error { return r.recording.writePage(w, result, of) }},
	} {
		if err := writeFile(filepath.Join(r.dir, file.name), file.write); err != nil {
			return err
		}
	}
	return errors.Join(r.trace.CloseAtomicallyReplace(), r.history.CloseAtomicallyReplace())
}

// saveSeed writes the directory of one seed of a scenario, once run has filled it.
func (o *output) saveSeed(s *scenario.Scenario, seed uint64, run func(*savedRun) error) error {
	name := seedPrefix + strconv.FormatUint(seed, 10)
	staged := filepath.Join(o.dir, "."+name)
	if err := os.Mkdir(staged, 0o755); err != nil { // For others to read.
		return err
	}
	defer os.RemoveAll(staged) //nolint:errcheck // It has its name by now, or an error is told.
	saved, err := saveRun(staged, s, &recording{})
	if err != nil {
		return err
	}
	defer saved.abandon()
	if err := run(saved); err != nil {
		return err
	}
	return os.Rename(staged, filepath.Join(o.dir, name))
}
