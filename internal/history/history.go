// Package history remembers the last runs that built or published something, and where the
// logs are of what failed.
package history

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/libresh/libre/internal/private"
)

// Run is a run of a command in a catalogue.
type Run struct {
	Started   time.Time `json:"started"`            // when
	Seconds   float64   `json:"seconds"`            // that it took
	Directory string    `json:"directory"`          // of the catalogue
	Command   []string  `json:"command"`            // the arguments of libre
	Result    string    `json:"result"`             // what became of the images, in one line
	Failures  []Failure `json:"failures,omitempty"` // what failed
}

// Failure is an image, a release or an app that failed.
type Failure struct {
	Name   string `json:"name"` // app/component/variant, app/variant or app
	Step   string `json:"step"` // that failed
	Reason string `json:"reason"`
	Log    string `json:"log,omitempty"` // a file
}

// kept is how many runs are remembered.
const kept = 100

// Add remembers a run in a folder that only this user can change, a file for each run, and
// forgets the oldest.
func Add(dir string, r Run) error {
	if err := private.Folder(dir); err != nil {
		return err
	}
	content, err := json.Marshal(r)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%s-%d.json", r.Started.UTC().Format("20060102T150405.000"), os.Getpid())
	if err := private.Replace(filepath.Join(dir, name), content); err != nil {
		return err
	}
	names, err := files(dir)
	for len(names) > kept && err == nil {
		if err = os.Remove(filepath.Join(dir, names[0])); errors.Is(err, fs.ErrNotExist) {
			err = nil // another run did it
		}
		names = names[1:]
	}
	return err
}

// Read returns the remembered runs, the newest first. A file that is not of a run is left out.
func Read(dir string) ([]Run, error) {
	names, err := files(dir)
	if err != nil {
		return nil, err
	}
	var runs []Run
	for _, name := range slices.Backward(names) {
		content, err := private.Read(filepath.Join(dir, name))
		var r Run
		if err == nil && json.Unmarshal(content, &r) == nil {
			runs = append(runs, r)
		}
	}
	return runs, nil
}

// files are the names of the runs' files, the oldest first.
func files(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), ".json") {
			names = append(names, entry.Name())
		}
	}
	return names, err
}
