// Package history remembers the last runs that built or published something, and where the
// logs are of what failed.
package history

import (
	"cmp"
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
	Started   time.Time       `json:"started"`            // when
	Seconds   float64         `json:"seconds"`            // that it took
	Directory string          `json:"directory"`          // of the catalogue
	Command   []string        `json:"command"`            // the arguments of libre
	Result    string          `json:"result"`             // what became of the images, in one line
	Failures  []Failure       `json:"failures,omitempty"` // what failed
	Took      map[string]Took `json:"took,omitempty"`     // by name of the image, how long it took
}

// Took is the time that an image took, in seconds.
type Took struct {
	Build   float64 `json:"build,omitempty"`   // to be built
	Publish float64 `json:"publish,omitempty"` // to be published
}

// isPossible reports whether libre can have written the times: a file may be damaged.
func (t Took) isPossible() bool {
	const longest = 365 * 24 * 60 * 60
	return t.Build >= 0 && t.Build < longest && t.Publish >= 0 && t.Publish < longest
}

// Times are the newest times of each image in a catalogue's runs, the newest run first. pace
// is how much of the sum of its images' times the newest of these runs took.
func Times(runs []Run, directory string) (times map[string]Took, pace float64) {
	times = map[string]Took{}
	for _, run := range runs {
		if run.Directory != directory {
			continue
		}
		sum := 0.0
		for name, took := range run.Took {
			if !took.isPossible() {
				continue
			}
			known := times[name]
			times[name] = Took{Build: cmp.Or(known.Build, took.Build), Publish: cmp.Or(known.Publish, took.Publish)}
			sum += took.Build + took.Publish
		}
		if pace == 0 && sum > 0 {
			pace = run.Seconds / sum
		}
	}
	return times, pace
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
