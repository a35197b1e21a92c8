package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/cmd/fray/internal/screen"
	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/lead"
	"github.com/frayrpc/fray/fray/store/pebblestore"
	"github.com/frayrpc/fray/fray/store/pgstore"
	"github.com/frayrpc/fray/fray/store/storecopy"
	"github.com/frayrpc/fray/internal/command"
)

const (
	// copyHolder is what the ids of copies begin with that have the seat of a database. One that was
	// interrupted leads nothing, and comes back to nothing.
	copyHolder = "copy-"
	// copyGiveUp is how long a copy waits for a database that does not answer. Nobody waits for the copy.
	copyGiveUp = time.Minute
)

// copyOptions are those of a copy.
type copyOptions struct {
	from, to     string
	leaderIsGone bool
	log          command.Log
}

func (a *app) newStore() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "store",
		Short: "Work on the records of controllers that do not run",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.newStoreCopy())
	return cmd
}

func (a *app) newStoreCopy() *cobra.Command {
	var o copyOptions
	cmd := &cobra.Command{
		Use:   "copy --from PLACE --to PLACE",
		Short: "Copy all records of a cluster to another data directory or database",
		Long: `Copy all records of a cluster, byte for byte, between the places where controllers keep them: data directories, and PostgreSQL
databases by their URL, as --data-dir and --store of a controller name them. No controller may run on either: end them by SIGTERM.

The records are read back and compared, and what there is of each kind is printed. Where the copy goes must be empty. Until it is whole no
controller starts on it; after an interruption the same command clears it and begins anew. The original is only read, and stays. Start no
controller on it any more: two clusters would have the same tasks.`,
		Example: `  fray store copy --from /var/lib/fray --to 'postgres://fray@db1,db2/fray?sslmode=verify-full'
  fray store copy --from 'postgres://fray@db1,db2/fray?sslmode=verify-full' --to /var/lib/fray`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.storeCopy(cmd.Context(), o) },
	}
	cmd.Flags().StringVar(&o.from, "from", "", "the data directory, or the postgres:// URL, to copy from: the `place`")
	cmd.Flags().StringVar(&o.to, "to", "", "where to copy to, likewise: a `place` that is empty, or not there")
	cmd.Flags().BoolVar(&o.leaderIsGone, "leader-is-gone", false, "believe of a database whose last leader has not left that this one, and all that stood by, have ended for good")
	command.Momentary(cmd.Flags(), "from", "to", "leader-is-gone")
	o.log.AddFlags(cmd.Flags(), "warn")
	a.addOutputFlag(cmd)
	return cmd
}

func (a *app) storeCopy(ctx context.Context, o copyOptions) error {
	from, fromErr := parsePlace("from", o.from)
	to, toErr := parsePlace("to", o.to)
	if err := errors.Join(fromErr, toErr); err != nil {
		return err
	}
	out := screen.New(a.Stdout, a.Stderr, true)
	c := &copier{leaderIsGone: o.leaderIsGone, logger: o.log.Logger(out.Err)}
	report, err := c.run(ctx, from, to, func(p storecopy.Progress) {
		out.Doing(fmt.Sprintf("%s %v records: %d, %s", p.Doing, p.Kind, p.Records, byteSize(p.Bytes)), p.Step, p.Steps)
	})
	if err := errors.Join(err, out.Finish()); err != nil {
		return err
	}
	return a.printCopy(report)
}

// printCopy prints what was copied.
func (a *app) printCopy(r *storecopy.Report) error {
	if r.Cleared > 0 {
		fmt.Fprintf(a.Stderr, "fray store copy: of an unfinished copy %d records were deleted first\n", r.Cleared)
	}
	records, bytes := r.Total()
	if a.output == formatJSON {
		return printJSON(a.Stdout, newCopyJSON(r))
	}
	var rows [][]string
	for _, c := range r.Kinds {
		rows = append(rows, []string{c.Kind.String(), strconv.FormatUint(c.Records, 10), strconv.FormatUint(c.Bytes, 10)})
	}
	rows = append(rows, []string{"all", strconv.FormatUint(records, 10), strconv.FormatUint(bytes, 10)})
	printTable(a.Stdout, []string{"kind", "records", "bytes"}, rows)
	fmt.Fprintf(a.Stdout, "copied in %v, %.0f records and %s a second, and compared in %v\n", roughly(r.Copying),
		perSecond(records, r.Copying), byteSize(uint64(perSecond(bytes, r.Copying))), roughly(r.Comparing))
	return nil
}

// perSecond is a rate.
func perSecond(n uint64, took time.Duration) float64 {
	return float64(n) / max(took, time.Millisecond).Seconds()
}

// copyJSON is what was copied, in JSON.
type copyJSON struct {
	Kinds          []kindJSON `json:"kinds"`
	Records        uint64     `json:"records"`
	Bytes          uint64     `json:"bytes"`
	CopySeconds    float64    `json:"copy_seconds"`
	CompareSeconds float64    `json:"compare_seconds"`
}

type kindJSON struct {
	Kind    string `json:"kind"`
	Records uint64 `json:"records"`
	Bytes   uint64 `json:"bytes"`
}

func newCopyJSON(r *storecopy.Report) copyJSON {
	j := copyJSON{CopySeconds: r.Copying.Seconds(), CompareSeconds: r.Comparing.Seconds()}
	j.Records, j.Bytes = r.Total()
	for _, c := range r.Kinds {
		j.Kinds = append(j.Kinds, kindJSON{c.Kind.String(), c.Records, c.Bytes})
	}
	return j
}

// place is where records are kept: a data directory, or a database.
type place struct {
	option string // that names it
	dir    string
	url    *url.URL // nil: it is a directory
}

// parsePlace returns the place that an option names.
func parsePlace(option, text string) (place, error) {
	if text == "" {
		return place{}, command.UsageError("which one? pass --%s a data directory, or a URL like postgres://user@host/database", option)
	}
	if !strings.Contains(text, "://") {
		return place{option: option, dir: text}, nil
	}
	u, err := url.Parse(text)
	if err != nil || !isPostgres(u) {
		return place{}, command.UsageError("--%s must be a data directory, or like postgres://user@host/database", option) // It may have a password: it is not shown.
	}
	return place{option: option, url: u}, nil
}

// String names the place, without secrets.
func (p place) String() string {
	if p.url == nil {
		return p.dir
	}
	name := url.URL{Scheme: p.url.Scheme, User: url.User(p.url.User.Username()), Host: p.url.Host, Path: p.url.Path}
	if path := p.url.Query().Get("search_path"); path != "" {
		name.RawQuery = url.Values{"search_path": {path}}.Encode()
	}
	return name.String()
}

// copier opens what a copy is made of, and where it goes.
type copier struct {
	leaderIsGone bool
	logger       *slog.Logger
	held         string // the id by which it holds the source
}

func (c *copier) run(ctx context.Context, from, to place, observe func(storecopy.Progress)) (report *storecopy.Report, err error) {
	original, closeOriginal, err := c.openSource(ctx, from)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", from.option, err)
	}
	defer func() { err = errors.Join(err, closeOriginal()) }()
	source, err := storecopy.From(from.String(), original)
	if err != nil {
		return nil, err
	}
	target, closeTarget, err := c.openTarget(ctx, to, source.Incarnation())
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", to.option, err)
	}
	defer func() { err = errors.Join(err, closeTarget()) }()
	report, err = source.To(ctx, target, observe)
	var full *storecopy.NotEmptyError
	if errors.As(err, &full) {
		return nil, fmt.Errorf("--%s: %v: %w: name an empty one, or delete this one if nobody needs it", to.option, to, err)
	}
	return report, err
}

// openSource opens a place to read it.
func (c *copier) openSource(ctx context.Context, p place) (store.Store, func() error, error) {
	if p.url != nil {
		return c.claim(ctx, p, pgstore.Config{Existing: true}, 0)
	}
	dir, err := pebblestore.Open(pebblestore.Config{Dir: p.dir, ReadOnly: true, Logger: c.logger})
	if err != nil {
		return nil, nil, err
	}
	if err := dir.Damage(); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%w: restore a backup of it, and copy that", err), dir.Close())
	}
	return dir, dir.Close, nil
}

// openTarget opens a place to write to it, whose controllers must give no tokens of any incarnation up
// to this one.
func (c *copier) openTarget(ctx context.Context, p place, incarnation uint64) (store.Store, func() error, error) {
	if p.url != nil {
		return c.claim(ctx, p, pgstore.Config{}, incarnation)
	}
	dir, err := pebblestore.Open(pebblestore.Config{Dir: p.dir, Logger: c.logger})
	if err != nil {
		return nil, nil, err
	}
	return dir, dir.Close, nil
}

// claim opens a database, and takes the lead there, so that no controller does.
func (c *copier) claim(ctx context.Context, p place, cfg pgstore.Config, after uint64) (store.Store, func() error, error) {
	warnOfPassword(p.url, p.option, c.logger)
	cfg.URL, cfg.Logger = p.url.String(), c.logger
	db, err := pgstore.Open(ctx, cfg)
	if err != nil {
		return nil, nil, err
	}
	id := copyHolder + ulid.Make().String()
	term, err := lead.Claim(ctx, lead.Config{Database: db, Holder: lead.Holder{ID: id}, GiveUp: copyGiveUp, Logger: c.logger}, lead.Terms{
		Gone:  func(h lead.Holder) bool { return c.leaderIsGone || strings.HasPrefix(h.ID, copyHolder) },
		After: after,
	})
	if err != nil {
		return nil, nil, errors.Join(c.explain(p, err), db.Close())
	}
	c.held = id
	return term, func() error { return errors.Join(term.Leave(), db.Close()) }, nil
}

// explain says what to do about a database that another has.
func (c *copier) explain(p place, err error) error {
	var held *lead.HeldError
	switch {
	case !errors.As(err, &held):
		return fmt.Errorf("%v: %w", p, err)
	case c.held != "" && held.Seat.Holder.ID == c.held:
		return fmt.Errorf("%v is what is to be copied: name another database, or another search_path", p)
	case strings.HasPrefix(held.Seat.Holder.ID, copyHolder):
		return fmt.Errorf("%v: another copy is made there", p)
	case held.Lives:
		return fmt.Errorf("%v: %w: end all of its controllers by SIGTERM first", p, err)
	default:
		return fmt.Errorf("%v: %w: end all of its controllers by SIGTERM first. If they were lost, and will not come back, say so with --leader-is-gone: "+
			"that nothing is heard of one does not show it, and one that was only stopped would go on there beside the copy", p, err)
	}
}
