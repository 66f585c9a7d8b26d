package build

import (
	"errors"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/containerfile"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/release"
)

// NotEvaluated returns the failure of an app that cannot be evaluated.
func NotEvaluated(err error) *release.Failure {
	var failure *nix.EvaluationFailure
	if errors.As(err, &failure) {
		made := &release.Failure{Step: string(StepEvaluate), Log: failure.Log}
		made.SetProblems(errors.New(failure.Message))
		return made
	}
	return &release.Failure{Step: string(StepEvaluate), Err: err}
}

// failureOf returns the failure of a target whose steps ended with an error.
func failureOf(err error, target *release.Target) *release.Failure {
	var failure *release.Failure
	if errors.As(err, &failure) {
		return failure
	}
	var build *nix.BuildFailure
	if errors.As(err, &build) {
		return &release.Failure{Step: string(StepBuild), Err: err, Tail: build.Tail, Log: build.Log}
	}
	var engine *containerfile.Error
	if errors.As(err, &engine) {
		return &release.Failure{Step: string(StepContainerfile), Err: err, Tail: engine.Tail, Log: engine.Log}
	}
	if target.Specs[0].Kind() == catalog.KindContainerfile {
		made := &release.Failure{Step: string(StepContainerfile)}
		made.SetProblems(err)
		return made
	}
	return &release.Failure{Step: string(StepLayers), Err: err}
}
