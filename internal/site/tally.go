package site

import "github.com/libresh/libre/internal/scan"

// severityCount is how many vulnerabilities of a severity are open.
type severityCount struct {
	Severity scan.Severity
	Count    int
}

// tally counts the vulnerabilities of images: those that need something by severity, the
// worst first, and those that a statement settles.
type tally struct {
	Open    []severityCount
	Total   int // of the open ones
	Settled int
}

// Order is how many are open, for sorting. What was not scanned comes last.
func (t *tally) Order() int {
	if t == nil {
		return 1 << 30
	}
	return t.Total
}

// newTally counts; nil if the images were not scanned.
func newTally(images []Image) *tally {
	all := report(images)
	if all == nil {
		return nil
	}
	open := all.Tally(func(f *scan.Finding) bool { return !f.Settled() })
	settled := all.Tally((*scan.Finding).Settled)
	t := &tally{Total: open.Vulnerabilities, Settled: settled.Vulnerabilities}
	for _, severity := range scan.Severities {
		if n := open.BySeverity[severity]; n > 0 {
			t.Open = append(t.Open, severityCount{severity, n})
		}
	}
	return t
}

// report has the findings of images, as a scan would; nil if they were not scanned.
func report(images []Image) *scan.Report {
	all := &scan.Report{}
	for _, image := range images {
		for _, platform := range image.Platforms {
			if platform.Findings == nil {
				return nil
			}
			all.Images = append(all.Images, scan.Image{Name: image.Component, Platform: platform.Name, Findings: platform.Findings})
		}
	}
	if len(all.Images) == 0 {
		return nil
	}
	return all
}
