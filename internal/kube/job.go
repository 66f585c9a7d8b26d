package kube

import (
	"fmt"

	"gopkg.in/yaml.v3"

	"github.com/libresh/libre/internal/instance"
)

// The folders of jobs that people apply by hand, at a certain moment of an upgrade.
const (
	beforeUpgrade = "before-upgrade"
	firstInstall  = "first-install"
)

// JobFolders returns the folders of jobs that people apply by hand.
func JobFolders() []string { return []string{beforeUpgrade, firstInstall} }

// jobRetries is the number of attempts after the first one fails.
const jobRetries = 3

var jobComments = map[string]string{
	beforeUpgrade: "Runs before an upgrade: apply it, and wait until it is complete, before the other objects.\nAt the first installation, apply it after them.",
	firstInstall:  "Runs once, when the app is first installed, after the jobs of before-upgrade.",
}

// addJobs writes the jobs of upgrades and of the first installation, each kind into its own
// folder. A job's template cannot change, so its name contains the template's hash and the
// app's version. An upgrade has no job of the first installation. If the app's version stays
// the same, there are no jobs.
func (r *renderer) addJobs() error {
	for _, s := range r.Services {
		comment, byHand := jobComments[s.Job]
		from := r.o.UpgradeFrom
		if !byHand || from == r.App.Spec.Version || from != "" && s.Job == firstInstall {
			continue
		}
		template, err := r.jobTemplate(s)
		if err != nil {
			return err
		}
		content, err := yaml.Marshal(template)
		if err != nil {
			return fmt.Errorf("writing job %s: %w", s.Name, err)
		}
		o := &job{r.header("batch/v1", "Job", s.Name), jobSpec{jobRetries, template}}
		// Its pods have the job's name as a label, which limits its length.
		hash := instance.ShortHash(content)
		o.Metadata.Name = instance.Shortened(o.Metadata.Name+"-"+instance.NamePart(r.App.Spec.Version), 62-len(hash)) + "-" + hash
		if err := r.addTo(s.Job, "job-"+r.ObjectName(s.Name), o, comment); err != nil {
			return err
		}
	}
	return nil
}

// addSchedules writes the jobs that run on a schedule.
func (r *renderer) addSchedules() error {
	for _, s := range r.Services {
		if s.Job != "scheduled" {
			continue
		}
		template, err := r.jobTemplate(s)
		if err != nil {
			return err
		}
		o := &cronJob{header: r.header("batch/v1", "CronJob", s.Name)}
		o.Spec = cronJobSpec{Schedule: s.Schedule, TimeZone: "Etc/UTC", ConcurrencyPolicy: "Forbid"}
		o.Spec.JobTemplate.Spec = jobSpec{jobRetries, template}
		if err := r.add(o, s.Description); err != nil {
			return err
		}
	}
	return nil
}

func (r *renderer) jobTemplate(s instance.Service) (podTemplate, error) {
	template, err := r.podTemplate(s)
	template.Spec.RestartPolicy = "Never"
	return template, err
}
