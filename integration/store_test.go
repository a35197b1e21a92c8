package integration_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/frayrpc/fray/fray/store/pgstore/pgtest"
)

// storeVariable says where the suite's controllers keep their records: "postgres" has each that would
// have a data directory, or nothing but memory without having asked for it, have a database of its own
// on one server. make integration-postgres sets it.
const storeVariable = "FRAY_TEST_STORE"

// onPostgres says that it is set so.
func onPostgres() bool { return os.Getenv(storeVariable) == "postgres" }

// checkStore returns what is wrong with the variable.
func checkStore() error {
	if v := os.Getenv(storeVariable); v != "" && !onPostgres() {
		return fmt.Errorf("%s is %q, and must be postgres, or not be set", storeVariable, v)
	}
	return nil
}

// needDirectory skips a test that is about a data directory where controllers have none.
func needDirectory(t *testing.T) {
	t.Helper()
	if onPostgres() {
		t.Skip("it is about the files of a data directory")
	}
}

// needOwnControllers skips a test whose controllers are not the suite's where these have databases.
func needOwnControllers(t *testing.T) {
	t.Helper()
	if onPostgres() {
		t.Skip("fray-sim starts its controllers, with a data directory each")
	}
}

// dataDirOption is what is replaced, with what follows it.
const dataDirOption = "--data-dir"

// stored are the databases of the suite.
var stored databasesByDir

// databasesByDir has a database in place of each data directory, so that a controller that is started
// again on its directory finds its records.
type databasesByDir struct {
	mu     sync.Mutex
	server *pgtest.Server
	urls   map[string]string
}

// args returns a controller's arguments with a database in place of its directory, if that is asked
// for, and whether it is.
func (d *databasesByDir) args(t testing.TB, args []string) ([]string, bool) {
	t.Helper()
	i := slices.Index(args, dataDirOption)
	if !onPostgres() || i < 0 || !slices.Contains(args, "controller") {
		return args, false
	}
	return slices.Concat(args[:i], []string{"--store", d.url(t, args[i+1])}, args[i+2:]), true
}

func (d *databasesByDir) url(t testing.TB, dir string) string {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.server == nil {
		var err error
		d.server, err = pgtest.New("max_connections = 400")
		pgtest.Need(t, err)
		d.urls = make(map[string]string)
	}
	url, ok := d.urls[dir]
	if !ok {
		var err error
		if url, err = d.server.Database(t.Context(), "suite_"+strconv.Itoa(len(d.urls))); err != nil {
			t.Fatal(err)
		}
		d.urls[dir] = url
	}
	return url
}

// remove stops the server, and deletes what it has.
func (d *databasesByDir) remove() error {
	if d.server == nil {
		return nil
	}
	return d.server.Remove()
}

// memory are the arguments of a controller that has not asked for a store.
func memory(t testing.TB) []string {
	t.Helper()
	if onPostgres() {
		return []string{dataDirOption, filepath.Join(t.TempDir(), "data")}
	}
	return []string{"--in-memory"}
}

// awaitLead waits until a controller leads that has a database in place of a directory: as far as it
// knows, it shares that with others.
func (p *process) awaitLead() {
	p.t.Helper()
	if !p.leads {
		return
	}
	eventually(p.t, p.name+" leads", func() bool {
		log, err := os.ReadFile(p.err)
		if err != nil {
			p.t.Fatal(err)
		}
		return bytes.Contains(log, []byte(`msg="controller started"`)) || !p.Running()
	})
}
