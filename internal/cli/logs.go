package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/history"
	"github.com/libresh/libre/internal/private"
	"github.com/libresh/libre/internal/ui"
)

type logsOptions struct {
	image string // app/component/variant; "" lists runs
	json  bool
}

func (e *env) logsCommand() *cobra.Command {
	var o logsOptions
	cmd := &cobra.Command{
		Use:   "logs [IMAGE]",
		Short: "List the last runs, or show the log of an image",
		Long: `List the last runs of build and push in this catalogue, the newest first, with
their results. With an image, such as docs/backend/default, print its newest
log: that of the build that failed last, or of its Containerfile.

The output has one line per run: its start, the command, its result. --json
also has each failure with its step, its reason and the file of its log.`,
		Example: "  libre logs\n  libre logs docs/backend/default",
		Args:    takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.image = strings.Join(args, "")
			return e.runLogs(o)
		},
		ValidArgsFunction: e.completeOne(3),
	}
	cmd.Flags().BoolVar(&o.json, "json", false, "print the runs as JSON")
	return cmd
}

func (e *env) runLogs(o logsOptions) error {
	ws, err := e.workspace()
	if err != nil {
		return err
	}
	all, err := history.Read(ws.historyDir())
	if err != nil {
		return err
	}
	runs := []history.Run{}
	for _, run := range all {
		if run.Directory == ws.dir {
			runs = append(runs, run)
		}
	}
	switch {
	case o.image != "" && o.json:
		return usageError{errors.New("--json is for the list of runs: leave out the image")}
	case o.image != "":
		return e.printLog(ws, runs, o.image)
	case o.json:
		return e.JSON(runs)
	}
	table := ui.Table{Header: []string{"STARTED", "COMMAND", "RESULT"}, Sentences: []int{2}}
	for _, run := range runs {
		table.Rows = append(table.Rows, []string{run.Started.Local().Format(time.DateTime), "libre " + strings.Join(run.Command, " "), run.Result})
	}
	if len(runs) == 0 {
		e.Notef("nothing was built or published in %s yet", ws.dir)
	}
	return e.Table(table)
}

// historyDir returns the folder with the last runs.
func (ws *workspace) historyDir() string { return filepath.Join(ws.cacheDir, "runs") }

// printLog prints the newest log of an image.
func (e *env) printLog(ws *workspace, runs []history.Run, image string) error {
	path, err := newestLog(ws, runs, image)
	if err != nil {
		return err
	}
	file, err := private.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	content, err := io.ReadAll(file)
	if err != nil {
		return err
	}
	e.Notef("%s", path)
	return e.Printf("%s", content)
}

// newestLog returns the file of an image's newest log.
func newestLog(ws *workspace, runs []history.Run, image string) (string, error) {
	id, err := imageID(image)
	if err != nil {
		return "", err
	}
	var paths []string
	for _, run := range runs {
		for _, failure := range run.Failures {
			if failure.Name == id.String() && failure.Log != "" {
				paths = append(paths, failure.Log)
			}
		}
	}
	newest, at := "", time.Time{}
	for _, path := range append(paths, filepath.Join(ws.logDir(), id.Name()+".log")) { // of a Containerfile
		if info, err := os.Stat(path); err == nil && info.ModTime().After(at) {
			newest, at = path, info.ModTime()
		}
	}
	if newest == "" {
		return "", fmt.Errorf("there is no log of %s: it did not fail in the last runs, which libre logs lists; nix log prints the logs of what Nix built", id)
	}
	return newest, nil
}

// imageID reads app/component[/variant]. The default variant is "default".
func imageID(word string) (catalog.ID, error) {
	parts := strings.Split(word, "/")
	if len(parts) == 2 {
		parts = append(parts, "default")
	}
	if len(parts) != 3 || strings.ContainsAny(word, "*?[]@.") {
		return catalog.ID{}, usageError{fmt.Errorf("%q is not an image, expected APP/COMPONENT[/VARIANT], such as docs/backend/default", word)}
	}
	return catalog.ID{App: parts[0], Component: parts[1], Variant: parts[2]}, nil
}
