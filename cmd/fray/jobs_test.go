//go:build linux

package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/txtar"
)

// mapDocument has the table of jobs, and jobsGolden what they print: the files that they find, in "in/", and for each
// job what fray map prints and which files it leaves.
const (
	mapDocument = "../../docs/map.md"
	jobsGolden  = "testdata/jobs.txtar"
	leastJobs   = 30
)

// everydayJob is a line of the table: one job as each program does it. An empty line: it does not.
type everydayJob struct {
	name                     string
	parallel, xargs, frayMap string
}

// readJobs returns the table.
func readJobs(t *testing.T) (jobs []everydayJob) {
	t.Helper()
	text, err := os.ReadFile(mapDocument)
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile("^`(.*)`$")
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| job ") {
			continue
		}
		const separator = "\x00"
		cells := strings.Split(strings.ReplaceAll(strings.TrimSpace(line), `\|`, separator), " | ")
		const columns = 4
		if len(cells) != columns {
			t.Fatalf("a line of the table has %d cells: %s", len(cells), line)
		}
		var lines [columns]string
		for i, cell := range cells {
			cell = strings.ReplaceAll(strings.Trim(cell, "| "), separator, "|")
			if m := code.FindStringSubmatch(cell); m != nil {
				cell = m[1]
			} else if i > 0 && cell != "—" {
				t.Fatalf("a cell of the table is no code: %s", cell)
			} else if i > 0 {
				cell = ""
			}
			lines[i] = cell
		}
		jobs = append(jobs, everydayJob{lines[0], lines[1], lines[2], lines[3]})
	}
	if len(jobs) < leastJobs {
		t.Fatalf("the table has %d jobs", len(jobs))
	}
	return jobs
}

// The lines of the table in docs/map.md do the same: those of fray map what stands in the golden file, and
// those of parallel and xargs the same, as far as they keep an order. FRAY_WRITE_GOLDEN=1 writes that file, and
// FRAY_REQUIRE_PARALLEL=1 has the test fail without GNU parallel.
func TestJobsAreDoneAsByParallelAndXargs(t *testing.T) {
	t.Parallel()
	archive, err := txtar.ParseFile(jobsGolden)
	if err != nil {
		t.Fatal(err)
	}
	golden := make(map[string]string)
	in := make(map[string][]byte)
	for _, file := range archive.Files {
		if name, ok := strings.CutPrefix(file.Name, "in/"); ok {
			in[name] = file.Data
		} else {
			golden[file.Name] = string(file.Data)
		}
	}
	has := map[string]bool{"fray": true}
	for _, program := range []string{"parallel", "xargs"} {
		err := isGNU(t, program)
		has[program] = err == nil
		if err == nil {
			continue
		}
		if program == "parallel" && os.Getenv("FRAY_REQUIRE_PARALLEL") != "" {
			t.Fatalf("FRAY_REQUIRE_PARALLEL is set: %v", err)
		}
		t.Run("NOT COMPARED with "+program, func(t *testing.T) { t.Skipf("its lines in %s are not run: %v", mapDocument, err) })
	}
	jobs := readJobs(t)
	written := make([]string, len(jobs))
	write := os.Getenv("FRAY_WRITE_GOLDEN") != ""
	t.Run("jobs", func(t *testing.T) {
		for i, job := range jobs {
			t.Run(job.name, func(t *testing.T) {
				t.Parallel()
				got := runJob(t, in, job.frayMap)
				written[i] = got
				want, ok := golden[job.name]
				switch {
				case write:
					want = got
				case !ok:
					t.Fatalf("%s does not have this job: run the test with FRAY_WRITE_GOLDEN=1, and look at what it writes", jobsGolden)
				}
				compareJob(t, job.frayMap, got, want, !strings.Contains(job.frayMap, "--keep-order=false"))
				for program, line := range map[string]string{"parallel": job.parallel, "xargs": job.xargs} { // order-free: each for itself
					if line != "" && has[program] {
						inOrder := program == "xargs" && !strings.Contains(line, "-P ") || program == "parallel" && strings.Contains(line, " -k")
						compareJob(t, line, runJob(t, in, line), want, inOrder)
					}
				}
			})
		}
	})
	if !write {
		for name := range golden {
			if !slices.ContainsFunc(jobs, func(job everydayJob) bool { return job.name == name }) {
				t.Errorf("%s has %q, which is no job of the table", jobsGolden, name)
			}
		}
		return
	}
	archive.Files = slices.DeleteFunc(archive.Files, func(f txtar.File) bool { return !strings.HasPrefix(f.Name, "in/") })
	for i, job := range jobs {
		archive.Files = append(archive.Files, txtar.File{Name: job.name, Data: []byte(written[i])})
	}
	const mode = 0o644
	if err := os.WriteFile(jobsGolden, txtar.Format(archive), mode); err != nil { // It is in the repository.
		t.Fatal(err)
	}
}

// isGNU returns why a program cannot be compared with: it is not there, or another one of its name is.
func isGNU(t *testing.T, program string) error {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		return err
	}
	out, err := exec.CommandContext(t.Context(), program, "--version").CombinedOutput() // From the list.
	if err != nil || !bytes.Contains(out, []byte("GNU")) {
		return fmt.Errorf("%s is not that of GNU", program)
	}
	return nil
}

// random says that what a line prints has another order each time.
var random = regexp.MustCompile(`--shuf|shuf |--line-buffer|-t |^find `)

// compareJob compares what a line printed and left with what is wanted.
func compareJob(t *testing.T, line, got, want string, inOrder bool) {
	t.Helper()
	if !inOrder || random.MatchString(line) {
		got, want = sortLines(got), sortLines(want)
	}
	if got != want {
		t.Errorf("%s\nprints and leaves:\n%s\nwant:\n%s", line, got, want)
	}
}

// sortLines sorts what was printed; the files come behind.
func sortLines(text string) string {
	printed, files, _ := strings.Cut(text, fileMark)
	lines := strings.SplitAfter(printed, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "") + fileMark + files
}

// fileMark begins the name of a file that a job left.
const fileMark = "== "

// runJob runs a line of a shell in a new directory with some files. It returns what the line prints, and which other
// files are there then, with what is in them.
func runJob(t *testing.T, in map[string][]byte, line string) string {
	t.Helper()
	dir := t.TempDir()
	const folderMode, fileMode = 0o755, 0o644
	for name, data := range in { // order-free: each for itself
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), folderMode), os.WriteFile(path, data, fileMode)); err != nil { // They are the job's.
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-c", line) // From the documentation.
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), "PARALLEL_HOME="+quietParallel(t), "LC_ALL=C", "PWD="+dir)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	t.Logf("%s: %v\n%s", line, err, stderr.String())
	return stdout.String() + left(t, dir, in)
}

// quietParallel returns a home for parallel in which it does not ask for citations.
func quietParallel(t *testing.T) string {
	t.Helper()
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "will-cite"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return home
}

// left lists the files below a directory that are not those that it began with.
func left(t *testing.T, dir string, in map[string][]byte) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if before, ok := in[name]; ok && bytes.Equal(before, data) {
			return nil
		}
		if !utf8.Valid(data) {
			data = fmt.Appendf(nil, "%x", sha256.Sum256(data))
		}
		fmt.Fprintf(&b, "%s%s\n%s", fileMark, name, data)
		if len(data) > 0 && data[len(data)-1] != '\n' {
			b.WriteByte('\n')
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
