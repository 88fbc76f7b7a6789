"""Sheets: one record each, handed on as the sheet is."""

from controller.station.kernel import kernel
from drivers.image import Polarity


@kernel
def clear_sheet(sheet):
    """No sheet here."""
    sheet.present = 0
    sheet.measured = 0
    sheet.corrected = 0
    sheet.retries = 0
    sheet.pose_x_m = 0.0
    sheet.pose_y_m = 0.0
    sheet.pose_theta_rad = 0.0
    sheet.thickness_m = 0.0


@kernel
def pass_sheet(source, target):
    """Hand a sheet on."""
    target.present = source.present
    target.measured = source.measured
    target.corrected = source.corrected
    target.retries = source.retries
    target.pose_x_m = source.pose_x_m
    target.pose_y_m = source.pose_y_m
    target.pose_theta_rad = source.pose_theta_rad
    target.thickness_m = source.thickness_m
    clear_sheet(source)


@kernel
def sheets_needed(plan, polarity):
    """Sheets of a polarity in one cell: the anode is outermost on both sides."""
    if polarity == Polarity.ANODE:
        return (plan.sheets + 1) // 2
    return plan.sheets // 2
