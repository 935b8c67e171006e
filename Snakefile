# The whole reproduction: `snakemake` makes everything that the active presets (params.yaml) consist of.
# Stages, dependencies and outputs belong to dvc.yaml; this file makes one rule of each. A rule asks DVC for its stage, so that
# both runners share one memory: what DVC has cached is not computed again, and `dvc repro` afterwards has nothing to do.


include: "workflow/rules/stages.smk"


STAGES = resolved_stages()


rule all:
    input:
        # all outputs, not the last ones alone: what somebody deleted in between is made again
        [out for stage in STAGES for out in stage.outputs],
    default_target: True


onstart:
    start_warm_process()


for stage in STAGES:

    rule:
        name:
            stage.rule_name
        input:
            stage.inputs,
        output:
            [marked(stage, out) for out in stage.outputs],
        params:
            address=stage.address,
        log:
            stage.log,
        benchmark:
            stage.benchmark
        threads: stage.threads
        resources:
            mem_mb=stage.memory_mb,
        # progress and errors go to the terminal (stderr), DVC's remarks to the log
        shell:
            "SNAKEMAKE_STAGE={params.address} dvc --wait-for-lock repro --single-item {params.address} > {log}"
