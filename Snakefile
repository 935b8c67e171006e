# The whole reproduction: `snakemake` makes everything that the active presets (params.yaml) consist of.
# Stages, dependencies and outputs belong to dvc.yaml; this file makes one rule of each. A rule asks DVC for its stage, so that
# both runners share one memory: what DVC has cached is not computed again, and `dvc repro` afterwards has nothing to do.


include: "workflow/rules/stages.smk"


# those that can run, and what the others wait for: weights and images that are not on this machine
RULES, WAITING = resolved_rules()


rule all:
    input:
        # all outputs, not the last ones alone: what somebody deleted in between is made again
        [out for stage in RULES for out in stage.outputs],
    default_target: not WAITING


# in place of `all` while something is missing: always run, so that every run ends by saying it
rule incomplete:
    input:
        rules.all.input,
    default_target: bool(WAITING)
    localrule: True
    log:
        "logs/incomplete.log",
    shell:
        "true 2> {log}"


onstart:
    if workflow.is_main_process:
        start_alone()
    if workflow.local_exec:
        start_warm_process()


onsuccess:
    end_incomplete(WAITING, RULES)


for stage in RULES:

    rule:
        name:
            stage.name
        input:
            stage.inputs,
        output:
            [marked(out) for out in stage.outputs],
        params:
            address=stage.address,
            devices=stage.devices,
        log:
            stage.log,
        benchmark:
            stage.benchmark
        threads: stage.threads
        resources:
            # names that Snakemake's Slurm executor knows
            mem_mb=stage.memory_mb,
            runtime=stage.minutes,
            gpu=stage.gpus,
            cpus_per_task=stage.cpus,
            nodes=1,
        # progress and errors go to the terminal (stderr), DVC's remarks to the log
        shell:
            "SNAKEMAKE_STAGE={params.address:q} {params.devices} dvc --wait-for-lock repro --single-item {params.address:q} > {log:q}"
