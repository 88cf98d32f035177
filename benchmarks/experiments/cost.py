"""What the methods cost, from the JSON of ``harmonium bench``."""

NAMES = {
    "floor": "the floor: five bare float32 products through NumPy's BLAS",
    "cd": "CD-1",
    "pcd": "PCD-1",
    "pt": "PT",
}


def table(bench: dict) -> str:
    found, watching = bench["methods"], bench["monitoring"]
    lines = ["| a step | plain, samples/s (÷ floor) | centred, samples/s (÷ floor) |", "|---|---|---|"]
    for name, words in NAMES.items():
        cells = [_cell(found, f"{name}{kind}") for kind in ("", "_centered")]
        lines.append(f"| {words} | {' | '.join(cells)} |")
    lines.append(f"| all defaults | | {_cell(found, 'default')} |")
    shape = f"{found['n_visible']} × {found['n_hidden']}, batch {found['batch']}, {found['chains']} chains"
    longer = {NAMES[name]: 1 / ratio for name, ratio in found["ratio_centered_to_plain"].items()}
    centring = ", ".join(f"{times:.2f} ({name})" for name, times in longer.items())
    plain, per_temperature = found["ratio_pcd_to_cd_plain"], found["cost_pt_to_pcd_per_temperature"]
    told = (
        f"{shape}. Round by round, PCD-1 ran at {found['ratio_pcd_to_cd']:.2f} times the speed of CD-1 ({plain:.2f} "
        f"without centring). PT with T = {found['temperatures']} temperatures cost {found['cost_pt_to_pcd']:.2f} times "
        f"PCD-1, that is {per_temperature:.2f} T. A centred step took, next to a plain one, {centring} times as long. "
        f"Watching a default run added {100 * watching['share']:.1f} % to its time."
    )
    return "\n".join([*lines, "", told])


def _cell(found: dict, name: str) -> str:
    return f"{found[name]:,.0f} ({found['ratio_to_floor'][name]:.2f})" if name in found else ""
