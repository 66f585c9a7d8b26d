package release

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Work is the work for the images of one release.
type Work struct {
	Selection string     // app/*/variant
	Group     string     // group of its app, as Groups returns it
	Images    []Estimate // an entry for each image
}

// Estimate is what is known of the work for an image.
type Estimate struct {
	Seconds float64 // that it took last; 0 if it is unknown
	Bytes   int64   // size of the published image that it replaces; 0 if it is unknown
}

// Job is the work of one of several machines.
type Job struct {
	Name      string `json:"name"`              // of the job: 2 of 8
	Selection string `json:"selection"`         // for push or build, separated by spaces
	Images    int    `json:"images"`            // number of images that need work
	Seconds   int    `json:"seconds,omitempty"` // time that the last builds and pushes of these images took; absent if it is unknown
}

// MostJobs is how many jobs GitHub allows in a matrix.
// https://docs.github.com/en/actions/reference/limits
const MostJobs = 256

// Matrix divides work among at most the given number of jobs, and returns the longest jobs
// first. All work of a group is in one job. It gives each group, the longest first, to the job
// with the least work so far. The longest job then takes at most 4/3 of the time of the best
// division (Graham 1969, Bounds on Multiprocessing Timing Anomalies). An image whose time is
// unknown counts as the mean, in proportion to its size if that is known.
func Matrix(work []Work, most int) []Job {
	groups := map[string]*load{}
	var loads []*load
	known := meanOf(work)
	for _, w := range work {
		group := groups[w.Group]
		if group == nil {
			group = &load{}
			groups[w.Group] = group
			loads = append(loads, group)
		}
		group.add(w, known)
	}
	longestFirst(loads)
	jobs := make([]*load, min(most, len(loads)))
	for i := range jobs {
		jobs[i] = &load{}
	}
	for _, group := range loads {
		least := slices.MinFunc(jobs, func(a, b *load) int { return cmp.Compare(a.weight, b.weight) })
		least.selections = append(least.selections, group.selections...)
		least.images, least.weight, least.seconds = least.images+group.images, least.weight+group.weight, least.seconds+group.seconds
	}
	longestFirst(jobs)
	all := []Job{}
	for n, job := range jobs {
		slices.Sort(job.selections)
		all = append(all, Job{fmt.Sprintf("%d of %d", n+1, len(jobs)), strings.Join(job.selections, " "), job.images, int(job.seconds + 0.5)})
	}
	return all
}

// load is the work of a group or a job.
type load struct {
	selections      []string
	images          int
	weight, seconds float64
}

func (l *load) add(w Work, known mean) {
	l.selections = append(l.selections, w.Selection)
	l.images += len(w.Images)
	for _, image := range w.Images {
		l.seconds += image.Seconds
		l.weight += known.weight(image)
	}
}

// mean is the mean of the known times and sizes.
type mean struct{ seconds, bytes float64 }

// weight returns the time that an image is expected to take, in seconds. If no time is known,
// the unit is another one.
func (m mean) weight(image Estimate) float64 {
	switch {
	case image.Seconds > 0:
		return image.Seconds
	case image.Bytes > 0:
		return m.seconds * float64(image.Bytes) / m.bytes
	}
	return m.seconds
}

// meanOf returns the mean of the known times and sizes. If no time is known, it is 1.
func meanOf(work []Work) mean {
	var sum mean
	timed, sized := 0, 0
	for _, w := range work {
		for _, image := range w.Images {
			sum.seconds, sum.bytes = sum.seconds+image.Seconds, sum.bytes+float64(image.Bytes)
			if image.Seconds > 0 {
				timed++
			}
			if image.Bytes > 0 {
				sized++
			}
		}
	}
	if timed == 0 {
		sum.seconds, timed = 1, 1
	}
	return mean{sum.seconds / float64(timed), sum.bytes / float64(max(sized, 1))}
}

func longestFirst(loads []*load) {
	slices.SortStableFunc(loads, func(a, b *load) int {
		return cmp.Or(cmp.Compare(b.weight, a.weight), slices.Compare(a.selections, b.selections))
	})
}
