package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/internal/command"
	"github.com/frayrpc/fray/internal/number"
	"github.com/frayrpc/fray/internal/visible"
)

// Formats of --output.
const (
	formatTable = "table"
	formatJSON  = "json"
)

func (a *app) addOutputFlag(cmd *cobra.Command) {
	command.OneOf(cmd.Flags(), &a.output, "output", "o", formatTable, "the `format` of results", formatTable, formatJSON)
	command.Shared(cmd.Flags(), "output")
}

// printTable writes rows below a header, in columns that two spaces separate.
func printTable(w io.Writer, header []string, rows [][]string) {
	t := table.NewWriter()
	t.SetOutputMirror(w)
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	style.Format.Header = text.FormatUpper
	t.SetStyle(style)
	t.SuppressTrailingSpaces()
	t.AppendHeader(tableRow(header))
	for _, row := range rows {
		t.AppendRow(tableRow(row))
	}
	t.Render()
}

// A listing is what a command prints of several things: a line of JSON for each, or a table of all.
type listing struct {
	*app

	header []string
	rows   [][]string
}

func (l *listing) add(row []string, object any) error {
	if l.output == formatJSON {
		return printJSON(l.Stdout, object)
	}
	l.rows = append(l.rows, row)
	return nil
}

// end prints the table, or what is to be said if there is nothing in it.
func (l *listing) end(none string) {
	switch {
	case l.output == formatJSON:
	case len(l.rows) == 0:
		fmt.Fprintln(l.Stderr, none)
	default:
		printTable(l.Stdout, l.header, l.rows)
	}
}

func tableRow(cells []string) table.Row {
	row := make(table.Row, len(cells))
	for i, cell := range cells {
		row[i] = visible.Line(cell)
	}
	return row
}

// printDetails writes names and values below each other, without those that are empty.
func printDetails(w io.Writer, details [][2]string) {
	width := 0
	for _, d := range details {
		if d[1] != "" {
			width = max(width, len(d[0]))
		}
	}
	for _, d := range details {
		if d[1] != "" {
			fmt.Fprintf(w, "%-*s  %s\n", width, d[0], strings.ReplaceAll(visible.Text(d[1]), "\n", "\n"+strings.Repeat(" ", width+2)))
		}
	}
}

// printJSON writes v on a line of its own.
func printJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// timestamp is an instant in JSON: RFC 3339 in UTC with milliseconds; null: it has not come.
func timestamp(unixMilli int64) *string {
	if unixMilli == 0 {
		return nil
	}
	s := time.UnixMilli(unixMilli).UTC().Format("2006-01-02T15:04:05.000Z")
	return &s
}

// ago is how long an instant lies back, for people.
func ago(unixMilli int64) string {
	if unixMilli == 0 {
		return "-"
	}
	return roughly(max(0, time.Since(time.UnixMilli(unixMilli)))) + " ago"
}

// inFuture is how long it is until an instant, for people.
func inFuture(unixMilli int64) string {
	if unixMilli == 0 {
		return "-"
	}
	return "in " + roughly(max(0, time.Until(time.UnixMilli(unixMilli))))
}

// roughly is a length of time in one or two units.
func roughly(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	case d < 48*time.Hour:
		return number.ShortDuration(d.Round(time.Minute))
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}

// byteSize is a number of bytes, for people.
func byteSize(n uint64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, prefixes := float64(n)/unit, "KMGTPE"
	i := 0
	for ; value >= unit && i < len(prefixes)-1; i++ {
		value /= unit
	}
	return fmt.Sprintf("%.1f %ciB", value, prefixes[i])
}
