// Policy has Flux's image-reflector-controller choose from a list of tags, by the steps of its reconciler. The package
// is internal to the controller; Go tells that by the importer's path, so this module's lies below the controller's.
// Reads the ImagePolicy's spec and the tags from standard input, as JSON; prints the tag and the milliseconds of the
// shortest of several runs.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	reflector "github.com/fluxcd/image-reflector-controller/api/v1"
	"github.com/fluxcd/image-reflector-controller/internal/policy"
)

const runs = 20

func main() {
	if err := measure(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func measure() error {
	var input struct {
		Spec reflector.ImagePolicySpec
		Tags []string
	}
	if err := json.NewDecoder(os.Stdin).Decode(&input); err != nil {
		return err
	}
	var chosen string
	var shortest time.Duration
	for run := range runs {
		start := time.Now()
		tag, err := choose(input.Spec, input.Tags)
		took := time.Since(start)
		if err != nil {
			return err
		}
		if run == 0 || took < shortest {
			chosen, shortest = tag, took
		}
	}
	fmt.Println(chosen, float64(shortest.Microseconds())/1000)
	return nil
}

func choose(spec reflector.ImagePolicySpec, tags []string) (string, error) {
	order, err := policy.PolicerFromSpec(spec.Policy)
	if err != nil {
		return "", err
	}
	if spec.FilterTags == nil {
		return order.Latest(tags)
	}
	filter, err := policy.NewRegexFilter(spec.FilterTags.Pattern, spec.FilterTags.Extract)
	if err != nil {
		return "", err
	}
	filter.Apply(tags)
	key, err := order.Latest(filter.Items())
	return filter.GetOriginalTag(key), err
}
